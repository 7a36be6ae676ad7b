// The page: inputs, status and results; worker.js computes, viewer.js draws.

import {openViewer} from "./viewer.js";

const at = (id) => document.getElementById(id);
const chosen = new Map(); // channel → File
let bundle;
let viewer = null;
let saved = null; // address of the mask to save

say("Loading the model …");
const worker = startWorker();
worker.postMessage({model: new URL("model.onnx", location.href).href});
worker.onmessage = ({data}) => {
  if (data.bundle) begin(data.bundle, data.threads);
  else if (data.fault) end(data.fault, true);
  else show(data.found);
};
worker.onerror = (event) => end(`The page could not start (${event.message}); try a newer browser.`, true);

/** From a blob, so that it inherits the page's content policy: no request but to this server. */
function startWorker() {
  const source = `import ${JSON.stringify(new URL("worker.js", import.meta.url).href)};`;
  return new Worker(URL.createObjectURL(new Blob([source], {type: "text/javascript"})), {type: "module"});
}

async function begin(found, threads) {
  bundle = found;
  describe(threads);
  for (const channel of bundle.channels) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {type: "file", id: `file-${channel}`, accept: ".nii,.gz"});
    input.addEventListener("click", () => (input.value = "")); // or the same file could not be chosen twice
    input.addEventListener("change", () => input.files.length && take([[channel, input.files[0]]]));
    label.append(`${channel.toUpperCase()} scan `, input);
    at("channels").append(label);
  }
  try {
    viewer = await openViewer(at("canvas"));
  } catch (error) {
    console.error(error);
  }
  if (!viewer) document.querySelector(".picture").hidden = true;
  document.body.dataset.state = "ready";
  say(viewer ? "Ready." : "Ready. This browser has no WebGL 2: you get numbers and a mask, but no picture.");
}

function describe(threads) {
  const {training, preparation, postprocessing} = bundle;
  at("architecture").textContent = `${bundle.architecture}, ${bundle.dims}D`;
  if (training.simulated) at("training").textContent = "The network was trained on simulated images.";
  const rows = {
    Architecture: `${bundle.architecture} (${bundle.distribution} ${bundle.version})`,
    "Trained on": training.cohort || "not stated",
    "Looks at": `${bundle.channels.join(", ")} at ${preparation.spacing.join(" × ")} mm`,
    "A voxel is lesion from": `probability ${postprocessing.threshold}`,
    "Smallest lesion": `${postprocessing.smallest_ml} ml`,
    "Computed by": `onnxruntime-web, ${threads} thread${threads === 1 ? "" : "s"}`,
    Licence: bundle.licence,
    "Intended use": bundle.intended_use,
  };
  for (const [name, text] of Object.entries(rows)) {
    const [term, value] = ["dt", "dd"].map((tag) => document.createElement(tag));
    [term.textContent, value.textContent] = [name, text];
    at("about").append(term, value);
  }
}

/** Take files, [channel, File] each, and begin when every channel has one. */
async function take(pairs) {
  if (at("drop").inert) return;
  if (!chosen.size) forget(bundle.channels.filter((channel) => !pairs.some(([taken]) => taken === channel)));
  for (const [channel, file] of pairs) chosen.set(channel, file);
  const missing = bundle.channels.filter((channel) => !chosen.has(channel));
  if (missing.length) return say(`Now the ${missing.map((name) => name.toUpperCase()).join(" and ")} scan of the same case.`);
  at("drop").inert = true;
  for (const id of ["result", "save", "view"]) at(id).hidden = true;
  viewer?.clear(); // no mask of an earlier scan beside this one's name
  at("progress").hidden = false;
  document.body.dataset.state = "busy";
  say("Segmenting …");
  worker.postMessage({files: bundle.channels.map((channel) => chosen.get(channel))});
}

async function show({volumeMl, lesions, mask, centre}) {
  const scan = chosen.get(bundle.channels[0]);
  const name = `${stem(scan.name)}_desc-lesion_mask.nii`;
  const packed = await new Response(new Blob([mask]).stream().pipeThrough(new CompressionStream("gzip"))).blob();
  if (saved) URL.revokeObjectURL(saved);
  saved = URL.createObjectURL(packed);
  Object.assign(at("save"), {href: saved, download: `${name}.gz`, hidden: false});
  at("volume").value = `${volumeMl.toFixed(2)} ml`;
  at("lesions").value = lesions;
  at("result").hidden = false;
  let result = `${volumeMl.toFixed(2)} ml in ${lesions} lesion${lesions === 1 ? "" : "s"} in ${scan.name}.`;
  if (viewer) {
    try {
      await viewer.showScan(scan);
      await viewer.showMask(new File([mask], name), centre);
      at("view").hidden = false;
    } catch (error) {
      console.error(error);
      result += " The picture could not be drawn.";
    }
  }
  end(result, false);
}

function end(sentence, fault) {
  at("progress").hidden = true;
  at("drop").inert = false;
  chosen.clear();
  if (fault && bundle) forget(bundle.channels);
  say(sentence, fault);
  document.body.dataset.state = fault ? "fault" : "done";
}

/** Empty the inputs of channels, so that none names a scan of another case. */
function forget(channels) {
  for (const channel of channels) at(`file-${channel}`).value = "";
}

function say(sentence, fault = false) {
  at("status").textContent = sentence;
  at("status").classList.toggle("fault", fault);
}

function stem(name) {
  return name.replace(/\.nii(\.gz)?$/, "").replace(new RegExp(`_${bundle.channels[0]}$`), "");
}

/** Dropped files go to the channels in their names, or to those that have no file yet. */
function sorted(files) {
  if (bundle.channels.length === 1) return [[bundle.channels[0], files[0]]];
  const named = files.map((file) => [bundle.channels.find((name) => file.name.includes(`_${name}.`)), file]);
  const free = bundle.channels.filter((name) => !chosen.has(name) && !named.some(([channel]) => channel === name));
  return named.map(([channel, file]) => [channel ?? free.shift() ?? bundle.channels[0], file]);
}

// The complete page takes files: the browser would open a file that is dropped beside a box.
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (kind !== "drop" || !bundle || !files.length || at("drop").inert) return;
    if (files.length > bundle.channels.length) say(`These are ${files.length} files: drop the scan of one case.`, true);
    else take(sorted(files));
  });
}
at("slices").addEventListener("change", (event) => viewer?.setSlices(event.target.value));
at("convention").addEventListener("change", (event) => viewer?.setConvention(event.target.value));
at("opacity").addEventListener("input", (event) => viewer?.setOpacity(Number(event.target.value)));
