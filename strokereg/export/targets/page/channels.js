// Which of the files that are dropped together is which channel of the model.

import {InputError} from "./errors.js";

/**
 * Give files to channels, as [channel, File] each: by the channel in the name, in either case, or a single other file to
 * the first free channel. Throws InputError where that is not clear: the browser gives the files in any order.
 */
export function assign(files, channels, taken) {
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
