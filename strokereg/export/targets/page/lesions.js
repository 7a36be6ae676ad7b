// How many lesions a mask holds.

/** Connected components (26 neighbours) of a mask, Uint8Array with X fastest. */
export function countLesions(mask, [width, height, depth]) {
  const seen = new Uint8Array(mask.length);
  let lesions = 0;
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i] || seen[i]) continue;
    lesions++;
    const waiting = [i];
    seen[i] = 1;
    while (waiting.length) {
      const at = waiting.pop();
      const [x, y, z] = [at % width, Math.floor(at / width) % height, Math.floor(at / (width * height))];
      for (let c = Math.max(0, z - 1); c <= Math.min(depth - 1, z + 1); c++) {
        for (let b = Math.max(0, y - 1); b <= Math.min(height - 1, y + 1); b++) {
          for (let a = Math.max(0, x - 1); a <= Math.min(width - 1, x + 1); a++) {
            const near = (c * height + b) * width + a;
            if (!mask[near] || seen[near]) continue;
            seen[near] = 1;
            waiting.push(near);
          }
        }
      }
    }
  }
  return lesions;
}
