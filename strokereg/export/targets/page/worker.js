// The segmenter, in a thread of its own so that the page stays responsive. It receives {model} once and then {files}, and
// posts {bundle}, {found} or {fault}. All computing is in the model's graph: raw voxels and affine in, mask out.

import * as ort from "./lib/onnxruntime.js";
import {InputError} from "./errors.js";
import {readMetadata} from "./header.js";
import {countLesions} from "./lesions.js";
import {checkSameGrid, maskFile, readVolume} from "./nifti.js";

const QUIET = {logSeverityLevel: 4}; // a scan that the graph refuses gets a sentence of the page's own

let session;
let bundle;

onmessage = async ({data}) => {
  try {
    if (data.model) postMessage({bundle: await load(data.model), threads: ort.env.wasm.numThreads});
    else postMessage({found: await segment(data.files)});
  } catch (error) {
    if (!(error instanceof InputError)) console.error(error);
    postMessage({fault: error instanceof InputError ? error.message : `This browser could not segment the scan (${error.message ?? error}).`});
  }
};

async function load(model) {
  const [bytes, engine] = await Promise.all([fetched(model), fetched(new URL("lib/onnxruntime.wasm", import.meta.url))]);
  bundle = readMetadata(new Uint8Array(bytes), "model.onnx");
  if (String.fromCharCode(...new Uint8Array(engine, 0, Math.min(4, engine.byteLength))) !== "\0asm") {
    throw new InputError("lib/onnxruntime.wasm: the server gave another file; copy the folder to it as it was exported");
  }
  ort.env.wasm.wasmBinary = engine;
  // Threads share memory, which browsers give only to pages that were served with the two isolation headers.
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  session = await ort.InferenceSession.create(new Uint8Array(bytes), {executionProviders: ["wasm"], ...QUIET});
  const inputs = Object.keys(bundle.inputs);
  if (session.inputNames.length !== inputs.length || !inputs.every((name) => session.inputNames.includes(name))) {
    throw new InputError("model.onnx: its graph does not fit its strokereg metadata; export the run again");
  }
  return bundle;
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new InputError(`${new URL(url).pathname}: is not beside this page (${response.status}); export the page again`);
  return response.arrayBuffer();
}

/** Segment the scans of one case, one File a channel in the order of the model's channels. */
async function segment(files) {
  const scans = [];
  for (const file of files) scans.push(await readVolume(file));
  scans.slice(1).forEach((scan) => checkSameGrid(scans[0], scan));
  const [{shape, affine, voxelMl}] = scans;
  // Voxels lie with X fastest, which to ONNX is the last axis; so the affine's columns go in reverse order too.
  const voxels = new Float32Array(scans.length * scans[0].data.length);
  scans.forEach(({data}, c) => voxels.set(data, c * data.length));
  const columns = affine.flatMap(([x, y, z, shift]) => [z, y, x, shift]);
  const feeds = {
    scan: new ort.Tensor("float32", voxels, [scans.length, ...[...shape].reverse()]),
    affine: new ort.Tensor("float64", Float64Array.from(columns), [4, 4]),
  };
  const {mask} = await session.run(feeds, ["mask"], QUIET).catch((error) => refuse(error, scans));
  const volumeMl = mask.data.reduce((sum, value) => sum + value, 0) * voxelMl;
  return {lesions: countLesions(mask.data, shape), volumeMl, centre: middle(mask.data, scans[0]), mask: maskFile(scans[0], mask.data)};
}

/** The graph refuses a scan by failing in a node whose name says why, such as `dwi_holds_no_positive_voxels`. */
function refuse(error, scans) {
  for (const [i, channel] of bundle.channels.entries()) {
    const fault = new RegExp(`\\b${channel}_((?:holds|has)_\\w+)`).exec(error.message)?.[1];
    if (fault) throw new InputError(`${scans[i].name}: ${fault.replaceAll("_", " ")}; give an image with the brain in it`);
  }
  throw error;
}

/** A point, in mm, of the slice (along Z) with most lesion, to look at first; null without any. */
function middle(mask, {shape: [width, height, depth], affine}) {
  const size = width * height;
  const counts = Array.from({length: depth}, (_, z) => mask.subarray(z * size, (z + 1) * size).reduce((sum, value) => sum + value, 0));
  const z = counts.indexOf(Math.max(...counts));
  if (!counts[z]) return null;
  const members = [];
  mask.subarray(z * size, (z + 1) * size).forEach((value, i) => value && members.push(i));
  const i = members[members.length >> 1];
  const voxel = [i % width, Math.floor(i / width), z, 1];
  return affine.slice(0, 3).map((row) => row.reduce((sum, value, k) => sum + value * voxel[k], 0));
}
