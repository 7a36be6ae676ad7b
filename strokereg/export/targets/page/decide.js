// From lesion probability to lesion mask, on the scan's own grid: strokereg/core/scan/postprocess.py.

/** Mask (Uint8Array) and number of lesions: threshold, then components (26 neighbours) below the smallest are dropped. */
export function postprocess(probability, shape, postprocessing, voxelMl) {
  const threshold = Math.fround(postprocessing.threshold);
  const mask = Uint8Array.from(probability, (value) => (value >= threshold ? 1 : 0));
  const seen = new Uint8Array(mask.length);
  let lesions = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i] || seen[i]) continue;
    const members = component(mask, seen, shape, i);
    // The small allowance keeps a component of exactly the smallest volume, whatever the affine's rounding.
    if (members.length * voxelMl >= postprocessing.smallest_ml * (1 - 1e-6)) lesions++;
    else for (const member of members) mask[member] = 0;
  }
  return {mask, lesions, volumeMl: mask.reduce((sum, value) => sum + value, 0) * voxelMl};
}

function component(mask, seen, [width, height, depth], first) {
  const members = [first];
  seen[first] = 1;
  for (let k = 0; k < members.length; k++) {
    const x = members[k] % width;
    const y = Math.floor(members[k] / width) % height;
    const z = Math.floor(members[k] / (width * height));
    for (let c = Math.max(0, z - 1); c <= Math.min(depth - 1, z + 1); c++) {
      for (let b = Math.max(0, y - 1); b <= Math.min(height - 1, y + 1); b++) {
        for (let a = Math.max(0, x - 1); a <= Math.min(width - 1, x + 1); a++) {
          const i = (c * height + b) * width + a;
          if (!mask[i] || seen[i]) continue;
          seen[i] = 1;
          members.push(i);
        }
      }
    }
  }
  return members;
}
