// The metadata of an ONNX file, read from its bytes: onnxruntime-web has no call for it.
// ModelProto's field 14 holds key (1) and value (2) of each entry; everything else is skipped.

import {InputError} from "./errors.js";

const METADATA = 14;
const KEY = "strokereg";

/** What `strokereg export` wrote into a model (docs/bundle.schema.json). */
export function readMetadata(bytes, name) {
  let text = null;
  try {
    for (const [field, value] of fields(bytes)) {
      if (field !== METADATA) continue;
      const entry = new Map(fields(value));
      if (decode(entry.get(1)) === KEY) text = decode(entry.get(2));
    }
  } catch {
    throw new InputError(`${name}: not an ONNX model, or a truncated one; export the run again`);
  }
  if (text === null) throw new InputError(`${name}: holds no strokereg metadata; give a file that 'strokereg export' wrote`);
  const bundle = JSON.parse(text);
  if (bundle.schema_version > 4) {
    throw new InputError(`${name}: its metadata has schema version ${bundle.schema_version}, this page reads up to 4; export the page again`);
  }
  if (!("scan" in bundle.inputs)) throw new InputError(`${name}: takes no whole scan; give a file of 'strokereg export --format scan'`);
  return bundle;
}

function decode(bytes) {
  return new TextDecoder("utf-8", {fatal: true}).decode(bytes);
}

/** [number, value] of the fields of a protobuf message; a value is bytes or a number. */
function* fields(bytes) {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (at >= bytes.length || scale > 2 ** 56) throw new RangeError("no number");
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const [field, kind] = [Math.floor(tag / 8), tag % 8];
    if (kind === 0) yield [field, number()];
    else if (kind === 1 || kind === 5) at += kind === 1 ? 8 : 4;
    else if (kind === 2) {
      const size = number();
      if (at + size > bytes.length) throw new RangeError("longer than the file");
      yield [field, bytes.subarray(at, at + size)];
      at += size;
    } else throw new RangeError(`no kind ${kind}`);
  }
}
