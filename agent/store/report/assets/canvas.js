// SPDX-License-Identifier: Apache-2.0
// How the timeline looks: an axis, one row per lane, dark times hatched, the whole period below as a strip.

const AXIS = 22;
const LANE = 24;
const BIN = 3;
const STRIP = 30;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((n) => [n * 1e3, n * 1e6])
  .concat([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map((s) => s * 1e9))
  .concat([2, 5, 10, 20, 50, 100].map((d) => d * 86400e9)).sort((a, b) => a - b);

// Colours as the page has resolved them, light or dark.
function colors() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue("--" + name).trim();
}

function fitted(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  return pen;
}

function drawTimeline(view) {
  const width = view.plot.clientWidth, height = AXIS + LANE * view.lanes.length, color = colors();
  view.width = width;
  if (!width) return;
  const pen = fitted(view.canvas, width, height);
  drawAxis(view, pen, width, height, color);
  drawLosses(view, pen, height, color);
  view.byLane.forEach((list, lane) => {
    if (!view.hidden.has(lane)) drawLane(view, pen, list, AXIS + lane * LANE, width, color(view.lanes[lane][0]));
  });
  drawMarks(view, pen, height, color);
  drawStrip(view, width, color);
}

function drawAxis(view, pen, width, height, color) {
  const [from, to] = view.range;
  const step = STEPS.find((one) => one >= ((to - from) / width) * 110) || STEPS[STEPS.length - 1];
  const digits = step >= 1e9 ? 0 : step >= 1e6 ? 3 : 6;
  const shift = Number(view.base % BigInt(step));
  pen.strokeStyle = color("line");
  pen.fillStyle = color("quiet");
  for (let time = Math.ceil((from + shift) / step) * step - shift; time < to; time += step) {
    const x = Math.round(view.xOf(time)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, AXIS - 4);
    pen.lineTo(x, height);
    pen.stroke();
    const text = step >= 86400e9 ? day(view.base, time) : clock(view.base, time, digits);
    if (x + pen.measureText(text).width + 4 < width) pen.fillText(text, x + 4, 13);
  }
  for (let lane = 0; lane <= view.lanes.length; lane++) {
    pen.beginPath();
    pen.moveTo(0, AXIS + lane * LANE + 0.5);
    pen.lineTo(width, AXIS + lane * LANE + 0.5);
    pen.stroke();
  }
}

function drawLosses(view, pen, height, color) {
  for (const [from, to] of view.losses) {
    if (to < view.range[0] || from > view.range[1]) continue;
    const x = Math.max(0, view.xOf(from)), end = Math.min(view.width, view.xOf(to));
    pen.fillStyle = color("warn-back");
    pen.fillRect(x, AXIS, Math.max(2, end - x), height - AXIS);
    pen.strokeStyle = color("warn");
    pen.lineWidth = 0.6;
    pen.save();
    pen.beginPath();
    pen.rect(x, AXIS, Math.max(2, end - x), height - AXIS);
    pen.clip();
    for (let at = x - height; at < end; at += 9) {
      pen.beginPath();
      pen.moveTo(at, height);
      pen.lineTo(at + height, 0);
      pen.stroke();
    }
    pen.restore();
    pen.lineWidth = 1;
  }
}

// Events per few pixels; the more, the taller. Those of the selected process stand out.
function drawLane(view, pen, list, top, width, color) {
  const from = view.position(list, view.range[0]), to = view.position(list, view.range[1]);
  const counts = new Uint32Array(Math.ceil(width / BIN) + 1), chosen = new Uint32Array(counts.length);
  const start = view.range[0], scale = width / (view.range[1] - start) / BIN;
  for (let at = from; at < to; at++) {
    const event = view.events[list[at]], bin = Math.floor((event.time - start) * scale);
    counts[bin]++;
    if (view.chosen && view.chosen(event)) chosen[bin]++;
  }
  const most = Math.log1p(counts.reduce((one, other) => Math.max(one, other), 1));
  pen.fillStyle = color;
  const bars = (bins, alpha) => {
    pen.globalAlpha = alpha;
    for (let bin = 0; bin < bins.length; bin++) {
      if (!bins[bin]) continue;
      const height = Math.round((LANE - 6) * (0.5 + (0.5 * Math.log1p(bins[bin])) / most));
      pen.fillRect(bin * BIN, top + LANE - 2 - height, BIN - 0.5, height);
    }
  };
  bars(counts, view.chosen ? 0.3 : 0.9);
  bars(chosen, 1);
  pen.globalAlpha = 1;
}

function drawMarks(view, pen, height, color) {
  const event = view.events[view.selected];
  if (event) {
    const x = Math.round(view.xOf(event.time)) + 0.5;
    pen.strokeStyle = pen.fillStyle = color("text");
    pen.beginPath();
    pen.moveTo(x, AXIS);
    pen.lineTo(x, height);
    pen.moveTo(x - 5, AXIS - 6);
    pen.lineTo(x + 5, AXIS - 6);
    pen.lineTo(x, AXIS);
    pen.fill();
    pen.stroke();
  }
  if (view.drag) {
    pen.fillStyle = color("accent");
    pen.globalAlpha = 0.2;
    pen.fillRect(Math.min(view.drag.from, view.drag.to), AXIS, Math.abs(view.drag.to - view.drag.from), height - AXIS);
    pen.globalAlpha = 1;
  }
}

// The whole period; its counts change with the lanes and the width only, so they are kept.
function drawStrip(view, width, color) {
  const pen = fitted(view.overview, width, STRIP), key = width + ":" + [...view.hidden].join();
  if (view.stripKey !== key) {
    view.stripKey = key;
    view.strip = new Float64Array(Math.ceil(width / BIN) + 1);
    for (const event of view.events) {
      if (!view.hidden.has(event.lane)) view.strip[Math.floor(view.xOf(event.time, view.whole) / BIN)]++;
    }
  }
  const most = Math.log1p(view.strip.reduce((a, b) => Math.max(a, b), 1));
  pen.fillStyle = color("raised");
  pen.fillRect(0, 0, width, STRIP);
  pen.fillStyle = color("quiet");
  view.strip.forEach((count, bin) => {
    if (count) pen.fillRect(bin * BIN, STRIP - (Math.log1p(count) / most) * (STRIP - 6), BIN - 0.5, STRIP);
  });
  const x = view.xOf(view.range[0], view.whole), end = view.xOf(view.range[1], view.whole);
  pen.fillStyle = pen.strokeStyle = color("accent");
  pen.globalAlpha = 0.16;
  pen.fillRect(x, 0, Math.max(2, end - x), STRIP);
  pen.globalAlpha = 1;
  pen.strokeRect(x + 0.5, 0.5, Math.max(2, end - x) - 1, STRIP - 1);
}

function showTip(view, x, y) {
  const found = view.near(x, y);
  const lane = Math.floor((y - AXIS) / LANE);
  const time = view.timeAt(x), loss = view.losses.find(([from, to]) => time >= from && time <= to);
  const lines = found.slice(0, 5).map((index) => {
    const event = view.events[index];
    return el("div", {}, clock(view.base, event.time, 6) + "  " + visible(view.label(event)).slice(0, 220));
  });
  if (found.length > 5) lines.push(el("div", { class: "quiet" }, "and " + number(found.length - 5) + " more here"));
  if (!found.length && loss && lane >= 0) lines.push(el("div", {}, "events may be missing here: " + visible(loss[2]).replaceAll("_", " ")));
  view.tip.replaceChildren(...lines);
  view.tip.hidden = !lines.length;
  if (!lines.length) return;
  const width = view.width, size = view.tip.offsetWidth;
  view.tip.style.left = Math.max(0, Math.min(x + 12, width - size)) + "px";
  view.tip.style.top = y + 16 + "px";
}
