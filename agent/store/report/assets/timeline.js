// SPDX-License-Identifier: Apache-2.0
// The timeline: the period in sight and how it is moved. What it looks like stands in canvas.js.

const SHORTEST = 1000;

class Timeline {
  constructor(parts, events, lanes, { base, losses, onRange, onPick }) {
    Object.assign(this, { ...parts, events, lanes, base, losses, onRange, onPick });
    this.byLane = lanes.map(() => []);
    events.forEach((event, index) => this.byLane[event.lane].push(index));
    for (const list of this.byLane) list.sort((a, b) => events[a].time - events[b].time);
    this.order = [...events.keys()].sort((a, b) => events[a].time - events[b].time);
    this.hidden = new Set();
    this.width = this.plot.clientWidth; // asked for once per frame: the browser lays out the page to answer
    this.selected = -1;
    this.chosen = null;
    this.whole = this.extent();
    this.range = [...this.whole];
    this.listen();
    new ResizeObserver(() => this.soon()).observe(this.plot);
    this.soon();
  }

  // From the first to the last event, with a little room at both ends.
  extent() {
    let first = Infinity, last = -Infinity;
    for (const event of this.events) {
      first = Math.min(first, event.time);
      last = Math.max(last, event.time);
    }
    if (!this.events.length) [first, last] = [0, 0];
    const room = Math.max((last - first) * 0.02, SHORTEST, last === first ? 1e9 : 0);
    return [first - room, last + room];
  }

  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      drawTimeline(this);
    });
  }

  setRange(from, to) {
    const [first, last] = this.whole;
    const span = Math.min(Math.max(to - from, SHORTEST), last - first);
    const start = Math.max(first, Math.min(from, last - span));
    this.range = [start, start + span];
    this.soon();
    this.onRange();
  }

  isWhole() {
    return this.range[0] <= this.whole[0] && this.range[1] >= this.whole[1];
  }

  zoom(factor, at) {
    const [from, to] = this.range, middle = at === undefined ? (from + to) / 2 : at;
    this.setRange(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  pan(share) {
    const step = (this.range[1] - this.range[0]) * share;
    this.setRange(this.range[0] + step, this.range[1] + step);
  }

  timeAt(x, range = this.range) {
    return range[0] + (x / Math.max(1, this.width)) * (range[1] - range[0]);
  }

  xOf(time, range = this.range) {
    return ((time - range[0]) / (range[1] - range[0])) * this.width;
  }

  // First position in a lane's list whose time is not before `time`.
  position(list, time) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.events[list[middle]].time < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Events within a few pixels of a point, nearest first.
  near(x, y) {
    const lane = Math.floor((y - AXIS) / LANE), list = this.byLane[lane];
    if (!list || this.hidden.has(lane)) return [];
    const time = this.timeAt(x), reach = this.timeAt(6) - this.timeAt(0);
    const found = list.slice(this.position(list, time - reach), this.position(list, time + reach));
    return found.sort((a, b) => Math.abs(this.events[a].time - time) - Math.abs(this.events[b].time - time));
  }

  // The next event of the lanes in sight, before or after the selected one.
  step(direction) {
    let at = this.selected >= 0 ? this.order.indexOf(this.selected) : this.position(this.order, this.range[0]) - 1;
    do at += direction; while (at >= 0 && at < this.order.length && this.hidden.has(this.events[this.order[at]].lane));
    if (at < 0 || at >= this.order.length) return;
    this.onPick(this.order[at]);
    this.show(this.events[this.order[at]].time);
  }

  // Move the period so that a time is in it.
  show(time) {
    const [from, to] = this.range;
    if (time < from || time > to) this.setRange(time - (to - from) / 2, time + (to - from) / 2);
  }

  select(index, chosen) {
    this.selected = index;
    this.chosen = chosen;
    this.soon();
  }

  toggle(lane) {
    if (!this.hidden.delete(lane)) this.hidden.add(lane);
    this.soon();
    this.onRange();
  }

  listen() {
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("wheel", (event) => this.wheel(event, place(event)[0]), { passive: false });
    this.canvas.addEventListener("dblclick", () => this.setRange(...this.whole));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.drag = { from: place(event)[0], to: place(event)[0] };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (this.drag) this.drag.to = x;
      if (this.drag) this.soon();
      else showTip(this, x, y);
    });
    this.canvas.addEventListener("pointerup", (event) => this.release(...place(event)));
    this.canvas.addEventListener("pointercancel", () => { this.drag = null; });
    this.overview.addEventListener("pointerdown", (event) => {
      this.overview.setPointerCapture(event.pointerId);
      this.moving = true;
      this.centre(place(event)[0]);
    });
    this.overview.addEventListener("pointermove", (event) => { if (this.moving) this.centre(place(event)[0]); });
    this.overview.addEventListener("pointerup", () => { this.moving = false; });
  }

  release(x, y) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (Math.abs(drag.to - drag.from) > 4) {
      const [a, b] = [drag.from, drag.to].sort((one, other) => one - other);
      this.setRange(this.timeAt(a), this.timeAt(b));
    } else {
      const [first] = this.near(x, y);
      if (first !== undefined) this.onPick(first);
    }
    this.soon();
  }

  centre(x) {
    const time = this.timeAt(x, this.whole), half = (this.range[1] - this.range[0]) / 2;
    this.setRange(time - half, time + half);
  }

  // The wheel belongs to the page until the reader has asked for the timeline.
  wheel(event, x) {
    const asked = event.ctrlKey || event.metaKey || this.plot.contains(document.activeElement);
    if (!asked) return;
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(Math.sign(event.deltaX || event.deltaY) * 0.1);
    else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(x));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const share = event.shiftKey ? 0.5 : 0.1;
    const deeds = {
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2),
      ArrowLeft: () => this.pan(-share), ArrowRight: () => this.pan(share),
      0: () => this.setRange(...this.whole), Home: () => this.setRange(...this.whole),
      n: () => this.step(1), p: () => this.step(-1),
    };
    if (!deeds[event.key]) return;
    deeds[event.key]();
    event.preventDefault();
  }
}
