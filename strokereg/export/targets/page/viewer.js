// The picture: scan and mask in NiiVue. Where the browser has no WebGL 2, the rest of the page works without it.

const MASK = 1; // among the viewer's volumes; the scan is 0
const STEPS = {ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1]};

/** A viewer on a canvas, or null. */
export async function openViewer(canvas) {
  if (!document.createElement("canvas").getContext("webgl2")) return null;
  const {Niivue, NVImage, SLICE_TYPE} = await import("./lib/niivue.js");
  // What lies on the page is for the page to take: NiiVue would load a dropped file as one more picture.
  const viewer = new Niivue({
    dragAndDropEnabled: false, loadingText: "", backColor: [0, 0, 0, 1], logLevel: "error",
    // Letters at the sides of each slice; the patient's right is on the left, as in all other pictures of strokereg.
    isRadiologicalConvention: true, showAllOrientationMarkers: true, fontColor: [1, 1, 1, 1], fontMinPx: 18,
    crosshairColor: [0.35, 0.8, 1, 0.8], crosshairWidth: 0.5, crosshairGap: 8,
  });
  await viewer.attachToCanvas(canvas);
  viewer.setInterpolation(true);
  viewer.setSliceType(SLICE_TYPE.AXIAL);
  let opacity = 0.6;

  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    const [x, y, z] = STEPS[event.key];
    viewer.moveCrosshairInVox(viewer.opts.isRadiologicalConvention ? -x : x, y, z); // the arrow points where the cross goes
  });

  const put = async (file, settings) => viewer.addVolume(await NVImage.loadFromFile({file, name: file.name, ...settings}));
  const clear = () => {
    while (viewer.volumes.length) viewer.removeVolumeByIndex(viewer.volumes.length - 1);
  };
  return {
    clear,
    async showScan(file) {
      clear();
      await put(file, {colormap: "gray"});
    },
    /** `centre` is a point of the lesion to look at, in mm, or null. */
    async showMask(file, centre) {
      if (viewer.volumes.length > MASK) viewer.removeVolumeByIndex(MASK);
      await put(file, {colormap: "red", opacity, cal_min: 0, cal_max: 1});
      if (centre) viewer.scene.crosshairPos = viewer.mm2frac(centre, 0, true);
      viewer.drawScene();
    },
    setOpacity(value) {
      opacity = value;
      if (viewer.volumes.length > MASK) viewer.setOpacity(MASK, value);
    },
    setConvention(name) {
      viewer.setRadiologicalConvention(name === "radiological");
    },
    setSlices(name) {
      const types = {multi: SLICE_TYPE.MULTIPLANAR, axial: SLICE_TYPE.AXIAL, coronal: SLICE_TYPE.CORONAL, sagittal: SLICE_TYPE.SAGITTAL};
      viewer.setSliceType(types[name]);
    },
  };
}
