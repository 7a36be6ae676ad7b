// Which of the files that are dropped together is which channel of the model.

import {InputError} from "./errors.js";

/** The contrasts that a file name can say; the same as in `core.scan.contrasts`. */
const CONTRASTS = ["dwi", "trace", "adc", "FLAIR", "T1w", "T2w", "T2starw", "PDw", "swi", "T1map", "T2map", "UNIT1", "angio"];

/**
 * Give files to channels, as [channel, File] each: by the channel in the name, in either case, or a single other file to
 * the first free channel. Throws InputError where that is not clear, since the browser gives the files in any order, and
 * for a file whose name says another contrast.
 */
export function assign(files, channels, taken) {
  for (const file of files) refuseOtherContrast(file.name, channels);
  if (channels.length === 1) return [[channels[0], files[0]]];
  const named = files.map((file) => [channels.find((name) => file.name.toLowerCase().includes(`_${name.toLowerCase()}.`)), file]);
  const names = named.map(([channel]) => channel);
  const free = channels.filter((name) => !taken.has(name) && !names.includes(name));
  const twice = names.find((name, i) => name && names.indexOf(name) !== i);
  if (twice || names.filter((name) => !name).length > 1 || (names.includes(undefined) && !free.length)) {
    const listed = files.map((file) => file.name).join(" and ");
    throw new InputError(`${listed}: it is not clear which is which; choose each ${channels.join(" and ")} scan with its own button`);
  }
  return named.map(([channel, file]) => [channel ?? free[0], file]);
}

function refuseOtherContrast(name, channels) {
  const suffix = name.toLowerCase().replace(/\.nii(\.gz)?$/, "").split("_").pop();
  const found = CONTRASTS.find((contrast) => contrast.toLowerCase() === suffix);
  const taken = channels.some((channel) => channel === "dwi" || channel === "trace") ? [...channels, "dwi", "trace"] : channels;
  if (!found || taken.includes(found)) return;
  const wanted = channels.join(" and ");
  throw new InputError(`${name}: is ${found} by its name, but this model takes ${wanted}; drop ${wanted}, or choose the file with a button if its name is wrong`);
}
