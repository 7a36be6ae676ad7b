// NIfTI-1 and NIfTI-2 in one file, read as strokereg's Python reads them (nibabel): scaling, byte order, affine.

import {InputError} from "./errors.js";

// Where things lie in the two headers; `real` is the size of their floating-point numbers.
const FORMS = {
  348: {version: 1, magic: 344, real: 4, dim: 40, edge: 2, type: 70, bits: 72, pixdim: 76, offset: 108, slope: 112, range: 124, qcode: 252, scode: 254, quatern: 256, srow: 280, least: 352},
  540: {version: 2, magic: 4, real: 8, dim: 16, edge: 8, type: 12, bits: 14, pixdim: 104, offset: 168, slope: 176, range: 192, qcode: 344, scode: 348, quatern: 352, srow: 400, least: 544},
};
const UINT8 = 2;
const VOXELS = {
  2: [1, "getUint8"], 4: [2, "getInt16"], 8: [4, "getInt32"], 16: [4, "getFloat32"], 64: [8, "getFloat64"],
  256: [1, "getInt8"], 512: [2, "getUint16"], 768: [4, "getUint32"], 1024: [8, "getBigInt64"], 1280: [8, "getBigUint64"],
};

/**
 * Read a scan.
 *
 * Gives `shape` [X, Y, Z]; `data`, a Float32Array with X fastest; `affine`, 4 rows, voxel → mm; `voxelMl`; and `header`,
 * which `maskFile` writes again. Throws InputError.
 */
export async function readVolume(file) {
  const buffer = await unpacked(file);
  const header = readHeader(file.name, buffer);
  const {affine, shape} = header;
  const volume = Math.abs(determinant(affine));
  if (!(volume >= 1e-9 && volume < Infinity)) throw fault(file.name, "its affine cannot be inverted", "repair the sform or qform");
  const data = readVoxels(file.name, buffer, header);
  return {name: file.name, shape, data, affine, voxelMl: volume / 1000, header};
}

/** Scans of one case must share one grid: shape equal, affines within 0.001 mm and 10⁻⁵ of each entry. */
export function checkSameGrid(first, second) {
  const shapes = [second.shape, first.shape].map((shape) => `(${shape.join(", ")})`);
  const fix = "resample it onto that image first";
  if (shapes[0] !== shapes[1]) {
    throw fault(second.name, `lies on another grid than ${first.name} (shape ${shapes[0]} against ${shapes[1]})`, fix);
  }
  const close = first.affine.flat().every((a, i) => Math.abs(a - second.affine.flat()[i]) <= 1e-3 + 1e-5 * Math.abs(second.affine.flat()[i]));
  if (!close) throw fault(second.name, `lies on another grid than ${first.name} (affines differ)`, fix);
}

/** A mask (Uint8Array, X fastest) as an unpacked NIfTI file on the grid of a scan: its header, with uint8 voxels. */
export function maskFile(volume, mask) {
  const {form, little, bytes} = volume.header;
  const out = new Uint8Array(form.least + mask.length);
  out.set(bytes.subarray(0, Math.min(bytes.length, form.least - 4))); // and no extensions
  const view = new DataView(out.buffer);
  view.setInt16(form.type, UINT8, little);
  view.setInt16(form.bits, 8, little);
  const edges = [3, ...volume.shape, 1, 1, 1, 1];
  edges.forEach((edge, i) => (form.edge === 2 ? view.setInt16(form.dim + 2 * i, edge, little) : view.setBigInt64(form.dim + 8 * i, BigInt(edge), little)));
  if (form.version === 1) view.setFloat32(form.offset, form.least, little);
  else view.setBigInt64(form.offset, BigInt(form.least), little);
  const real = (at, value) => (form.real === 4 ? view.setFloat32(at, value, little) : view.setFloat64(at, value, little));
  [1, 0].forEach((value, i) => real(form.slope + form.real * i, value));
  // The display range (cal_max, cal_min) was that of the scan.
  [0, 0].forEach((value, i) => real(form.range + form.real * i, value));
  out.set(mask, form.least);
  return out;
}

/** The bytes of a file, whatever its name says: plain, or compressed once or twice. */
async function unpacked(file) {
  try {
    let bytes = new Uint8Array(await file.arrayBuffer());
    for (let layer = 0; layer < 2 && bytes[0] === 0x1f && bytes[1] === 0x8b; layer++) {
      bytes = new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
    }
    return bytes;
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(file.name);
    throw fault(file.name, "damaged or truncated (it cannot be read or unpacked)", "copy the file again");
  }
}

function tooLarge(name) {
  return fault(name, "is larger than the memory of this browser", "segment it with 'strokereg segment'");
}

function readHeader(name, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes.length >= 4 && view.getInt32(0, true) in FORMS;
  const form = bytes.length >= 4 && FORMS[view.getInt32(0, little)];
  if (!form) throw fault(name, "not a NIfTI image", "give a .nii or .nii.gz file");
  if (bytes.length < form.least) throw fault(name, "damaged or truncated (its header is cut)", "copy the file again");
  const magic = String.fromCharCode(...bytes.subarray(form.magic, form.magic + 3));
  if (magic.startsWith("ni")) throw fault(name, "its voxels lie in another file (.img)", "convert the two to one .nii file");
  if (magic !== `n+${form.version}`) throw fault(name, "not a NIfTI image", "give a .nii or .nii.gz file");
  const real = (at) => (form.real === 4 ? view.getFloat32(at, little) : view.getFloat64(at, little));
  const integer = (at) => (form.edge === 2 ? view.getInt16(at, little) : Number(view.getBigInt64(at, little)));
  const code = (at) => (form.version === 1 ? view.getInt16(at, little) : view.getInt32(at, little));
  const edges = Array.from({length: Math.max(0, Math.min(7, integer(form.dim)))}, (_, i) => integer(form.dim + form.edge * (i + 1)));
  if (edges.length < 3 || edges.some((edge) => edge < 1) || edges.slice(3).some((edge) => edge !== 1)) {
    throw fault(name, `its shape is (${edges.join(", ")})`, "a 3D volume is needed, so extract one volume first");
  }
  const shape = edges.slice(0, 3);
  const pixdim = Array.from({length: 4}, (_, i) => real(form.pixdim + form.real * i));
  const quatern = Array.from({length: 6}, (_, i) => real(form.quatern + form.real * i));
  const rows = Array.from({length: 12}, (_, i) => real(form.srow + form.real * i));
  let affine;
  if (code(form.scode) > 0) affine = [rows.slice(0, 4), rows.slice(4, 8), rows.slice(8), [0, 0, 0, 1]];
  else if (code(form.qcode) > 0) affine = fromQuaternion(pixdim, quatern);
  else affine = fromEdges(pixdim, shape);
  const offset = form.version === 1 ? real(form.offset) : Number(view.getBigInt64(form.offset, little));
  const type = view.getInt16(form.type, little);
  const [slope, inter] = [real(form.slope), real(form.slope + form.real)];
  return {form, little, bytes, shape, affine, type, offset: Math.max(Math.trunc(offset) || 0, form.least), slope, inter};
}

function readVoxels(name, bytes, {little, shape, type, offset, slope, inter}) {
  if (!(type in VOXELS)) throw fault(name, `its voxels are of NIfTI type ${type}`, "give an image of plain numbers");
  const [size, get] = VOXELS[type];
  const count = shape[0] * shape[1] * shape[2];
  if (offset + count * size > bytes.length) {
    throw fault(name, `damaged or truncated (${bytes.length - offset} of ${count * size} bytes of voxels)`, "copy the file again");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset);
  const scaled = Number.isFinite(slope) && slope !== 0;
  if (scaled && !Number.isFinite(inter)) throw fault(name, "damaged or truncated (its scaling is no number)", "copy the file again");
  const data = numbers(name, count);
  for (let i = 0; i < count; i++) {
    const stored = Number(view[get](i * size, little));
    data[i] = scaled ? stored * slope + inter : stored;
    if (!Number.isFinite(data[i])) throw fault(name, "holds NaN or infinite voxels", "replace them before use");
  }
  return data;
}

function numbers(name, count) {
  try {
    return new Float32Array(count);
  } catch {
    throw tooLarge(name);
  }
}

/** The qform. */
function fromQuaternion(pixdim, [b, c, d, ...shift]) {
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const turn = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
  ];
  const [x, y, z] = pixdim.slice(1).map(Math.abs);
  const step = [x, y, pixdim[0] === -1 ? -z : z];
  return [...turn.map((row, i) => [...row.map((value, j) => value * step[j]), shift[i]]), [0, 0, 0, 1]];
}

/** Neither form: centred, and X from right to left, as nibabel takes such files. */
function fromEdges(pixdim, shape) {
  const [x, y, z] = pixdim.slice(1).map(Math.abs);
  const step = [-x, y, z];
  return [...step.map((value, i) => [0, 1, 2].map((j) => (i === j ? value : 0)).concat((-value * (shape[i] - 1)) / 2)), [0, 0, 0, 1]];
}

/** Of the upper left 3×3. */
function determinant([[a, b, c], [d, e, f], [g, h, i]]) {
  return a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g);
}

function fault(name, what, fix) {
  return new InputError(`${name}: ${what}; ${fix}`);
}
