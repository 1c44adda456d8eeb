// SPDX-License-Identifier: Apache-2.0
// A list of any length of which only the rows in sight are in the page, with a keyboard's cursor.

const ROW = 24;
const SPARE = 5;
const MOST_ROWS = 18;

class List {
  // draw(index): a row's element; choose(index): the reader picked it.
  constructor(box, { draw, choose }) {
    this.box = box;
    this.draw = draw;
    this.choose = choose;
    this.count = 0;
    this.cursor = 0;
    this.sizer = el("div", { class: "sizer", role: "presentation" });
    box.append(this.sizer);
    box.addEventListener("scroll", () => this.soon());
    box.addEventListener("focus", () => this.soon());
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row && !event.defaultPrevented) this.pick(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.soon()).observe(box);
  }

  setCount(count) {
    this.count = count;
    this.cursor = Math.max(0, Math.min(this.cursor, count - 1));
    this.sizer.style.height = count * ROW + "px";
    this.soon();
  }

  // Draw with the next frame, however often it is asked for until then.
  soon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.refresh());
  }

  refresh() {
    this.waiting = false;
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const last = Math.min(this.count, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
    const rows = [];
    for (let index = first; index < last; index++) rows.push(this.row(index));
    if (this.count && (this.cursor < first || this.cursor >= last)) rows.push(this.row(this.cursor));
    this.sizer.replaceChildren(...rows);
    if (this.count) this.box.setAttribute("aria-activedescendant", this.box.id + "-" + this.cursor);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(index) {
    const row = this.draw(index);
    row.classList.add("row");
    row.classList.toggle("current", index === this.cursor);
    row.id = this.box.id + "-" + index;
    row.dataset.index = index;
    row.style.top = index * ROW + "px";
    return row;
  }

  // Move the cursor there and bring it into sight.
  go(index) {
    this.cursor = Math.max(0, Math.min(index, this.count - 1));
    const top = this.cursor * ROW, height = this.box.clientHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + height) this.box.scrollTop = top + ROW - height;
    this.soon();
  }

  pick(index) {
    if (!this.count) return;
    this.go(index);
    this.choose(this.cursor);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.count) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.count, End: this.count };
    if (event.key in steps) this.pick(this.cursor + steps[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.pick(this.cursor);
    else return;
    event.preventDefault();
  }
}
