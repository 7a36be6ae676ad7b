// From a scan's own grid to the grid that the network sees, and back: strokereg/core/scan/grid.py, number by number.
// Volumes of a scan are Float32Arrays with X fastest; on the network grid [Z, Y, X] is the same order in memory.

import {InputError} from "./errors.js";
import {orientation} from "./matrix.js";

const {fround} = Math;

/** Threshold above which a voxel is brain (5 % of the 99th positive percentile), and the median above it. */
export function brain(volume) {
  const positive = volume.data.filter((value) => value > 0).sort();
  if (!positive.length) throw new InputError(`${volume.name}: holds no positive voxels; give an image with the brain in it`);
  const threshold = fround(fround(0.05) * percentile(positive, 99));
  let first = 0;
  while (first < positive.length && !(positive[first] > threshold)) first++;
  const count = positive.length - first;
  const middle = first + (count >> 1);
  const median = count % 2 ? positive[middle] : fround(fround(positive[middle - 1] + positive[middle]) / 2);
  return {threshold, median};
}

/** numpy's, in float32 as numpy computes it. */
function percentile(sorted, percent) {
  const place = fround(fround(sorted.length - 1) * fround(percent / 100));
  const below = Math.min(Math.floor(place), sorted.length - 1);
  const above = Math.min(below + 1, sorted.length - 1);
  const [low, high, share] = [sorted[below], sorted[above], fround(place - below)];
  const step = fround(high - low);
  return share < 0.5 ? fround(low + fround(step * share)) : fround(high - fround(step * fround(1 - share)));
}

/**
 * The network grid of a scan: canonical axes, the model's spacing, centred on the brain.
 *
 * Gives `shape` [X, Y, Z], and for each of these axes the scan's axis `from`, its `slope` and its `shift`: network voxel v
 * lies at scan voxel slope · v + shift.
 */
export function frameOf(volume, threshold, preparation) {
  const [low, high] = extent(volume, threshold);
  const way = orientation(volume.affine);
  const axes = [0, 1, 2].map((c) => {
    const from = way.findIndex(([along]) => along === c);
    const step = Number((preparation.spacing[c] / volume.spacing[from]).toFixed(5));
    const needed = Math.max(preparation.size[c], (high[from] - low[from] + 1) / step);
    const size = Math.ceil(needed / preparation.multiple[c]) * preparation.multiple[c];
    const slope = way[from][1] * step;
    return {from, size, step, slope, shift: rint((low[from] + high[from]) / 2 - (slope * (size - 1)) / 2)};
  });
  return {shape: axes.map((axis) => axis.size), axes};
}

/** A scan on the network grid: linear, smoothed first along the axes where the grid gets coarser. */
export function toGrid(volume, frame) {
  let data = volume.data;
  const axes = [0, 1, 2].map((a) => frame.axes.find((axis) => axis.from === a));
  axes.forEach((axis, a) => {
    const sigma = Math.max(0, (axis.step - 1) / 2);
    if (sigma > 1e-15) data = smooth(data, volume.shape, a, sigma);
  });
  const strides = stridesOf(volume.shape);
  const places = frame.axes.map(({from, size, slope, shift}) => along(size, (v) => v * slope + shift, volume.shape[from], strides[from]));
  return sample(data, frame.shape, places);
}

/** A volume on the network grid, brought back to the scan's: linear, zero where the network saw nothing. */
export function fromGrid(data, frame, volume) {
  const strides = stridesOf(frame.shape);
  const places = [0, 1, 2].map((a) => {
    const c = frame.axes.findIndex((axis) => axis.from === a);
    const {size, slope, shift} = frame.axes[c];
    const inverse = 1 / slope;
    return along(volume.shape[a], (i) => i * inverse - shift * inverse, size, strides[c]);
  });
  return sample(data, volume.shape, places);
}

function stridesOf(shape) {
  return [1, shape[0], shape[0] * shape[1]];
}

/** First and last brain voxel along each axis of a scan. */
function extent({data, shape}, threshold) {
  const [low, high] = [[...shape], [-1, -1, -1]];
  for (let z = 0, i = 0; z < shape[2]; z++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[0]; x++, i++) {
        if (!(data[i] > threshold)) continue;
        [x, y, z].forEach((at, a) => {
          if (at < low[a]) low[a] = at;
          if (at > high[a]) high[a] = at;
        });
      }
    }
  }
  return [low, high];
}

/** The two neighbours of each place along an axis, as offsets in memory, and their weights; none outside. */
function along(count, place, edge, stride) {
  return Array.from({length: count}, (_, v) => {
    const at = place(v);
    if (at < 0 || at > edge - 1) return null;
    const below = Math.floor(at);
    const share = at - below;
    return [below * stride, Math.min(below + 1, edge - 1) * stride, 1 - share, share];
  });
}

function sample(data, shape, [xs, ys, zs]) {
  const out = new Float32Array(shape[0] * shape[1] * shape[2]);
  let i = 0;
  for (const z of zs) {
    for (const y of ys) {
      for (const x of xs) {
        if (x && y && z) {
          let sum = 0;
          for (let k = 0; k < 8; k++) {
            const weight = x[2 + (k & 1)] * y[2 + ((k >> 1) & 1)] * z[2 + (k >> 2)];
            if (weight) sum += weight * data[x[k & 1] + y[(k >> 1) & 1] + z[k >> 2]];
          }
          out[i] = sum;
        }
        i++;
      }
    }
  }
  return out;
}

/** scipy's Gaussian filter along one axis: four sigmas wide, mirrored at the edges. */
function smooth(data, shape, axis, sigma) {
  const radius = Math.trunc(4 * sigma + 0.5);
  const bell = Array.from({length: radius + 1}, (_, k) => Math.exp((-0.5 / (sigma * sigma)) * k * k));
  const total = bell.reduce((sum, value, k) => sum + (k ? 2 : 1) * value, 0);
  const weights = bell.map((value) => value / total);
  const [edge, stride] = [shape[axis], stridesOf(shape)[axis]];
  const mirrored = (at) => {
    const place = ((at % (2 * edge)) + 2 * edge) % (2 * edge);
    return (place < edge ? place : 2 * edge - 1 - place) * stride;
  };
  const places = Array.from({length: edge + 2 * radius}, (_, k) => mirrored(k - radius));
  const out = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const at = Math.floor(i / stride) % edge;
    const start = i - at * stride;
    let sum = data[i] * weights[0];
    for (let k = radius; k > 0; k--) sum += (data[start + places[at + radius - k]] + data[start + places[at + radius + k]]) * weights[k];
    out[i] = sum;
  }
  return out;
}

/** To the nearest whole number, halves to the even one: numpy's. */
export function rint(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}
