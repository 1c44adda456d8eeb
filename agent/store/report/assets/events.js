// SPDX-License-Identifier: Apache-2.0
// The list of events: filtered by lane, period, process and words.

class Events {
  constructor(box, events, { base, lanes, nameOf, choose }) {
    Object.assign(this, { events, base, lanes, nameOf });
    this.rows = [...events.keys()];
    this.selected = -1;
    const first = events.length ? day(base, events[0].time) : "";
    this.days = events.some((event) => day(base, event.time) !== first);
    this.list = new List(box, { draw: (row) => this.row(row), choose: (row) => choose(this.rows[row]) });
    this.list.setCount(this.rows.length);
  }

  // Keep those that pass; the selected one stays under the cursor when it is among them.
  filter(passes) {
    this.rows = [...this.events.keys()].filter((index) => passes(this.events[index]));
    const at = this.rows.indexOf(this.selected);
    this.list.cursor = Math.max(0, at);
    this.list.setCount(this.rows.length);
  }

  select(index) {
    this.selected = index;
    const at = this.rows.indexOf(index);
    if (at >= 0) this.list.go(at);
    else this.list.soon();
  }

  row(row) {
    const index = this.rows[row], event = this.events[index], lane = this.lanes[event.lane];
    const time = (this.days ? day(this.base, event.time).slice(5) + " " : "") + clock(this.base, event.time, 6);
    const did = event.outcome ? el("span", { class: "tone-bad" }, " " + visible(event.outcome)) : null;
    const policy = event.policy ? el("span", { class: "when" }, " [" + visible(event.policy) + "]") : null;
    return el("div", {
      class: "event-row", role: "option", "aria-selected": String(index === this.selected),
      "aria-posinset": row + 1, "aria-setsize": this.rows.length,
    },
    el("span", { class: "when" }, time), el("span", {}, this.nameOf(event.process)),
    el("span", { title: visible(event.summary.slice(0, 800)) }, el("i", { class: "dot lane-" + lane[0], title: lane[1] }),
      visible(event.summary.slice(0, 500)), did, policy));
  }
}
