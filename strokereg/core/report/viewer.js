"use strict";
// Shows the slices of a scan with outlines. All pictures are data URIs in the page: nothing is fetched.
for (const viewer of document.querySelectorAll(".viewer")) {
  const scan = JSON.parse(viewer.dataset.scan);
  const find = (name) => viewer.querySelector(`[data-part="${name}"]`);
  const [canvas, slider, arms, truth, called, status] = ["canvas", "slice", "arm", "truth", "called", "status"].map(find);
  const [width, height, count] = scan.size;
  const [dx, dy] = scan.spacing;
  const scale = Math.min(6, Math.max(2, Math.round(460 / Math.max(width, height))));
  const ratio = [scale * dx / Math.min(dx, dy), scale * dy / Math.min(dx, dy)];
  const pen = canvas.getContext("2d");
  canvas.width = Math.round(width * ratio[0]);
  canvas.height = Math.round(height * ratio[1]);
  slider.max = count;
  slider.value = scan.first + 1;
  for (const name of Object.keys(scan.called)) arms.add(new Option(name));

  const images = new Map();
  const masks = new Map();
  const load = (uri) => {
    if (!images.has(uri)) {
      const image = new Image();
      image.src = uri;
      images.set(uri, image.decode().then(() => image));
    }
    return images.get(uri);
  };
  // A mask as one byte per pixel of its montage.
  const read = async (uri) => {
    const image = await load(uri);
    if (!masks.has(uri)) {
      const sheet = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height }).getContext("2d");
      sheet.drawImage(image, 0, 0);
      const pixels = sheet.getImageData(0, 0, image.width, image.height).data;
      masks.set(uri, { width: image.width, inside: Uint8Array.from({ length: pixels.length / 4 }, (_, i) => pixels[4 * i] > 127) });
    }
    return masks.get(uri);
  };
  const place = (z) => [(z % scan.columns) * width, Math.floor(z / scan.columns) * height];
  // Draws the border of a mask edge by edge: a dark line below a coloured one, so that it is seen on every grey.
  const trace = (mask, z, colour) => {
    const [left, top] = place(z);
    const at = (x, y) => x >= 0 && y >= 0 && x < width && y < height && mask.inside[(top + y) * mask.width + left + x];
    pen.beginPath();
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        if (!at(x, y)) continue;
        const [x0, y0, x1, y1] = [x * ratio[0], y * ratio[1], (x + 1) * ratio[0], (y + 1) * ratio[1]];
        const edges = [[-1, 0, x0, y0, x0, y1], [1, 0, x1, y0, x1, y1], [0, -1, x0, y0, x1, y0], [0, 1, x0, y1, x1, y1]];
        for (const [i, j, a, b, c, d] of edges) {
          if (at(x + i, y + j)) continue;
          pen.moveTo(a, b);
          pen.lineTo(c, d);
        }
      }
    }
    for (const [line, width] of [["#000", 4], [colour, 2]]) {
      pen.lineWidth = width;
      pen.strokeStyle = line;
      pen.stroke();
    }
  };
  const letter = (text, side, x) => {
    pen.font = `600 ${Math.round(canvas.width / 22)}px system-ui, sans-serif`;
    pen.textAlign = side;
    pen.textBaseline = "middle";
    pen.lineWidth = 4;
    pen.strokeStyle = "#000";
    pen.fillStyle = "#fff";
    pen.strokeText(text, x, canvas.height / 2);
    pen.fillText(text, x, canvas.height / 2);
  };
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    const z = Number(slider.value) - 1;
    const wanted = [
      [truth, scan.truth, scan.ml.truth, "true lesion"],
      [called, scan.called[arms.value], scan.ml.called[arms.value], "prediction"],
    ];
    const image = await load(scan.image);
    const outlines = await Promise.all(wanted.map(([, uri]) => read(uri)));
    if (mine !== turn) return; // the slider has moved on
    const [left, top] = place(z);
    pen.drawImage(image, left, top, width, height, 0, 0, canvas.width, canvas.height);
    const shown = wanted.map((one, i) => [...one, i]).filter(([box]) => box.checked);
    for (const [, , , , i] of shown) trace(outlines[i], z, scan.colours[i]);
    letter(scan.sides[0], "left", 8);
    letter(scan.sides[1], "right", canvas.width - 8);
    const [start, step, total] = scan.slices;
    const volumes = shown.map(([, , ml, name]) => `${name} ${ml.toFixed(2)} ml`);
    status.textContent = [`slice ${start + z * step} of ${total}`, ...volumes].join(" · ");
    canvas.setAttribute("aria-label", `${scan.title}: ${status.textContent}`);
    slider.setAttribute("aria-valuetext", status.textContent);
  };
  for (const control of [slider, arms, truth, called]) control.addEventListener("input", draw);
  viewer.addEventListener("wheel", (event) => {
    if (event.target !== canvas || !viewer.contains(document.activeElement)) return; // the page scrolls as usual
    event.preventDefault();
    slider.valueAsNumber -= Math.sign(event.deltaY);
    draw();
  }, { passive: false });
  viewer.hidden = false;
  draw();
}
