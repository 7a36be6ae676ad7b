// The segmenter, in a thread of its own so that the page stays awake. It is told {model} once and then {files}, and tells
// {bundle}, {progress}, {found} or {fault}.

import * as ort from "./lib/onnxruntime.js";
import {decide} from "./decide.js";
import {InputError} from "./errors.js";
import {brain, frameOf, fromGrid, toGrid} from "./grid.js";
import {readMetadata} from "./header.js";
import {checkSameGrid, maskFile, readVolume} from "./nifti.js";
import {slide} from "./window.js";

let session;
let bundle;

onmessage = async ({data}) => {
  try {
    if (data.model) postMessage({bundle: await load(data.model), threads: ort.env.wasm.numThreads});
    else postMessage({found: await segment(data.files)});
  } catch (error) {
    if (!(error instanceof InputError)) console.error(error);
    postMessage({fault: error instanceof InputError ? error.message : `This browser could not do it (${error.message ?? error}).`});
  }
};

async function load(model) {
  const [bytes, engine] = await Promise.all([fetched(model), fetched(new URL("lib/onnxruntime.wasm", import.meta.url))]);
  bundle = readMetadata(new Uint8Array(bytes), "model.onnx");
  ort.env.wasm.wasmBinary = engine;
  // Threads share memory, which browsers give only to pages that were served with the two isolation headers.
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  session = await ort.InferenceSession.create(new Uint8Array(bytes), {executionProviders: ["wasm"]});
  const inputs = Object.keys(bundle.inputs);
  if (session.inputNames.length !== inputs.length || !inputs.every((name) => session.inputNames.includes(name))) {
    throw new InputError("model.onnx: its graph does not fit its strokereg metadata; export the run again");
  }
  return bundle;
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new InputError(`${new URL(url).pathname}: is not beside this page (${response.status}); export the page anew`);
  return response.arrayBuffer();
}

/** Segment the scans of one case, one File a channel in the order of the model's channels. */
async function segment(files) {
  const scans = [];
  for (const file of files) scans.push(await readVolume(file));
  scans.slice(1).forEach((scan) => checkSameGrid(scans[0], scan));
  const brains = scans.map(brain);
  const frame = frameOf(scans[0], brains[0].threshold, bundle.preparation);
  const channels = scans.map((scan) => toGrid(scan, frame));
  const medians = brains.map(({median}) => median);
  const shape = [...frame.shape].reverse();
  const name = Object.keys(bundle.output)[0];

  const run = async (windows, dims) => {
    const median = Float32Array.from({length: dims[0] * medians.length}, (_, i) => medians[i % medians.length]);
    const feeds = {image: new ort.Tensor("float32", windows, dims), median: new ort.Tensor("float32", median, [dims[0], medians.length])};
    return (await session.run(feeds))[name].data;
  };
  const patch = bundle.size.length ? bundle.size : shape.slice(-bundle.dims);
  const blending = {flips: bundle.postprocessing.flips, overlap: bundle.overlap, sigma: bundle.sigma};
  const onGrid = await slide(run, channels, shape, patch, blending, (share) => postMessage({progress: share}));
  const {mask, lesions, volumeMl} = postprocess(fromGrid(onGrid, frame, scans[0]), scans[0].shape, bundle.postprocessing, scans[0].voxelMl);
  return {lesions, volumeMl, centre: middle(mask, scans[0]), mask: maskFile(scans[0], mask)};
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
