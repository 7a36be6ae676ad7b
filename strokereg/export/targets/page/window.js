// Sliding windows, blended with Gaussian weights: strokereg/core/scan/window.py, number by number.

import {rint} from "./grid.js";

const {fround} = Math;
const SLICES = 16; // a call, in 2D

/**
 * Lesion probability of a scan on the network grid, Float32Array [Z, Y, X].
 *
 * `run(windows, dims)` is the network: Float32Array [n, C, *patch] → [n, 1, *patch]. `channels` are Float32Arrays, `shape` is
 * their [Z, Y, X], `patch` the window's [Z,] Y, X. `onPart(share)` is told how much is done.
 */
export async function slide(run, channels, shape, patch, {flips, overlap, sigma}, onPart) {
  const slices = patch.length === 2;
  const size = slices ? [1, ...shape.slice(1)] : shape;
  const wanted = slices ? [1, ...patch] : patch;
  const [zs, ys, xs] = size.map((edge, a) => windowsAlong(edge, Math.min(edge, wanted[a]), overlap, sigma));
  const parts = slices ? partsOf(shape[0]) : [[0, 0]];
  const blended = new Float32Array(shape[0] * shape[1] * shape[2]);
  const all = parts.length * zs.length * ys.length * xs.length;
  let done = 0;
  for (const [first, count] of parts) {
    for (const z of zs) {
      for (const y of ys) {
        for (const x of xs) {
          const box = {start: [slices ? first : z.start, y.start, x.start], edges: [slices ? count : z.edge, y.edge, x.edge]};
          const probability = await call(run, channels, shape, box, slices, flips);
          const depth = slices ? new Float32Array(count).fill(1) : z.weights;
          add(blended, shape, box, probability, [depth, y.weights, x.weights]);
          onPart(++done / all);
        }
      }
    }
  }
  return blended;
}

async function call(run, channels, shape, box, slices, flips) {
  const [depth, height, width] = box.edges;
  const dims = slices ? [depth, channels.length, height, width] : [1, channels.length, depth, height, width];
  const plain = await run(cut(channels, shape, box, slices, false), dims);
  if (!flips) return plain;
  const mirrored = await run(cut(channels, shape, box, slices, true), dims);
  return plain.map((value, i) => {
    const x = i % width;
    return fround(value + mirrored[i - x + (width - 1 - x)]) / 2;
  });
}

/** Windows of all channels, [n, C, Y, X] or [1, C, Z, Y, X]; mirrored along X where asked for. */
function cut(channels, shape, {start, edges}, slices, mirror) {
  const [depth, height, width] = edges;
  const out = new Float32Array(channels.length * depth * height * width);
  channels.forEach((channel, c) => {
    for (let z = 0; z < depth; z++) {
      const plane = slices ? z * channels.length + c : c * depth + z;
      for (let y = 0; y < height; y++) {
        const from = ((start[0] + z) * shape[1] + start[1] + y) * shape[2] + start[2];
        const row = out.subarray((plane * height + y) * width, (plane * height + y + 1) * width);
        row.set(channel.subarray(from, from + width));
        if (mirror) row.reverse();
      }
    }
  });
  return out;
}

function add(blended, shape, {start, edges}, probability, [zs, ys, xs]) {
  let i = 0;
  for (let z = 0; z < edges[0]; z++) {
    for (let y = 0; y < edges[1]; y++) {
      const row = ((start[0] + z) * shape[1] + start[1] + y) * shape[2] + start[2];
      const weight = fround(zs[z] * ys[y]);
      for (let x = 0; x < edges[2]; x++, i++) blended[row + x] += fround(probability[i] * fround(weight * xs[x]));
    }
  }
}

/** Where the windows lie along an edge, and their weights, which sum to one at every voxel. */
function windowsAlong(edge, patch, overlap, sigma) {
  const count = edge === patch ? 1 : 1 + Math.ceil((edge - patch) / (patch * (1 - overlap)));
  const step = count > 1 ? (edge - patch) / (count - 1) : 0;
  const starts = Array.from({length: count}, (_, k) => rint(k === count - 1 ? edge - patch : k * step));
  const bell = Array.from({length: patch}, (_, k) => Math.exp(-0.5 * ((k - (patch - 1) / 2) / (sigma * patch)) ** 2));
  const total = new Float64Array(edge);
  for (const start of starts) bell.forEach((value, k) => (total[start + k] += value));
  return starts.map((start) => ({start, edge: patch, weights: Float32Array.from(bell, (value, k) => value / total[start + k])}));
}

function partsOf(count) {
  return Array.from({length: Math.ceil(count / SLICES)}, (_, k) => [k * SLICES, Math.min(SLICES, count - k * SLICES)]);
}
