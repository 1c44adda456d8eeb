// SPDX-License-Identifier: Apache-2.0
// The tree of processes: what is open, what is found, and its keys (WAI-ARIA Authoring Practices, "Tree View").

const DEEPEST = 20;

class Tree {
  constructor(box, processes, base, choose) {
    this.processes = processes;
    this.base = base;
    this.open = new Set(processes.map((_, index) => index));
    this.children = processes.map(() => []);
    this.place = processes.map(() => [1, 1]);
    this.roots = [];
    this.matches = null;
    this.context = null;
    this.selected = -1;
    this.typed = "";
    this.typedAt = -Infinity;
    processes.forEach((process, index) => this.below(process.parent).push(index));
    for (const list of [this.roots, ...this.children]) list.forEach((child, i) => { this.place[child] = [i + 1, list.length]; });
    this.list = new List(box, { draw: (row) => this.row(row), choose: (row) => choose(this.rows[row]) });
    box.addEventListener("keydown", (event) => this.key(event), true);
    this.update();
  }

  below(parent) {
    return parent < 0 ? this.roots : this.children[parent];
  }

  // Which processes have a row, in order.
  update() {
    const rows = [], stack = [...this.roots].reverse();
    while (stack.length) {
      const index = stack.pop();
      if (this.context && !this.context.has(index)) continue;
      rows.push(index);
      if (this.isOpen(index)) for (let i = this.children[index].length - 1; i >= 0; i--) stack.push(this.children[index][i]);
    }
    this.rows = rows;
    this.at = new Map(rows.map((index, row) => [index, row]));
    if (this.at.has(this.selected)) this.list.cursor = this.at.get(this.selected);
    this.list.setCount(rows.length);
  }

  isOpen(index) {
    return this.open.has(index);
  }

  toggle(index, wanted) {
    if (!this.children[index].length) return;
    if (wanted) this.open.add(index);
    else this.open.delete(index);
    const hidden = this.at.get(this.selected) === undefined;
    this.update();
    if (!hidden && !this.at.has(this.selected)) this.list.cursor = this.at.get(index);
    this.list.soon();
  }

  all(wanted) {
    this.open = wanted ? new Set(this.processes.keys()) : new Set(this.ancestors());
    this.update();
    this.list.go(this.list.cursor);
  }

  ancestors() {
    return [...this.processes.keys()].filter((index) => this.processes[index].relation === "ancestor");
  }

  // Show a process: open what is above it, select it, bring it into sight.
  reveal(index) {
    if (this.context && !this.context.has(index)) this.search("");
    for (let above = this.processes[index].parent; above >= 0; above = this.processes[above].parent) this.open.add(above);
    this.selected = index;
    if (!this.at.has(index)) this.update();
    this.list.go(this.at.get(index));
  }

  // Leave the processes that hold all words, and those above them. Returns how many were found.
  search(text) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    this.words = words;
    this.matches = words.length ? this.processes.flatMap((one, i) => words.every((w) => one.text.includes(w)) ? [i] : []) : null;
    this.context = null;
    if (this.matches) {
      this.context = new Set();
      for (const found of this.matches) {
        for (let one = found; one >= 0 && !this.context.has(one); one = this.processes[one].parent) {
          this.context.add(one);
          if (one !== found) this.open.add(one);
        }
      }
      this.matched = new Set(this.matches);
    }
    this.update();
    this.list.go(this.list.cursor);
    return this.matches ? this.matches.length : 0;
  }

  // The next process found, in the order of the rows.
  next(step) {
    if (!this.matches || !this.matches.length) return -1;
    const rows = this.rows.filter((index) => this.matched.has(index));
    const at = rows.indexOf(this.selected);
    return rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : (at + step + rows.length) % rows.length];
  }

  row(row) {
    const index = this.rows[row], one = this.processes[index], some = this.children[index].length > 0;
    const [place, size] = this.place[index];
    const states = { "aria-level": one.depth + 1, "aria-posinset": place, "aria-setsize": size, role: "treeitem" };
    if (some) states["aria-expanded"] = String(this.isOpen(index));
    const quiet = one.relation === "ancestor" || (this.processes[0].relation === "group" && row && !one.events);
    const marks = quiet ? " above" : one.relation === "root" ? " root" : "";
    const outside = this.context && !this.matched.has(index) ? " context" : "";
    return el("div", { ...states, class: "tree-row" + marks + outside, "aria-selected": String(index === this.selected) },
      this.program(one, index, some), el("span", { class: "count" }, one.events ? number(one.events) : ""),
      el("span", { class: one.uid === 0 ? "" : "when" }, userOf(one)),
      el("span", { class: "when", title: full(this.base, one.start) }, short(this.base, one.start)), outcomeOf(one));
  }

  program(one, index, some) {
    const twist = el("span", { class: "twist", "aria-hidden": "true" }, some ? (this.isOpen(index) ? "▾" : "▸") : "");
    twist.addEventListener("click", (event) => {
      event.preventDefault();
      this.toggle(index, !this.isOpen(index));
    });
    const deep = one.depth > DEEPEST ? el("span", { class: "deep" }, "[" + one.depth + "]") : null;
    const cell = el("span", { class: "program", title: visible((one.binary + " " + one.arguments).slice(0, 600)) },
      twist, deep, one.findings ? el("span", { class: "flag", title: plural(one.findings, "detection") }, "●") : null,
      one.replaces ? el("span", { class: "pid", title: "replaced the program above in the same process" }, "⇒") : null,
      one.relation === "group" ? null : el("span", { class: "pid" }, one.pid || "?"),
      el("b", {}, ...this.marked(one.name || "(not in the log)")), " ",
      el("span", { class: "words" }, ...this.marked(one.arguments.slice(0, 400))));
    cell.style.paddingLeft = Math.min(one.depth, DEEPEST) * 14 + "px";
    return cell;
  }

  // A text with the words that were searched for marked.
  marked(text) {
    const shown = visible(text), low = shown.toLowerCase();
    const word = this.context && (this.words || []).find((one) => low.includes(one));
    if (!word || low.length !== shown.length) return [shown];
    const at = low.indexOf(word);
    return [shown.slice(0, at), el("mark", {}, shown.slice(at, at + word.length)), shown.slice(at + word.length)];
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.rows[this.list.cursor];
    if (index === undefined) return;
    const some = this.children[index].length > 0, open = some && this.isOpen(index);
    if (event.key === "ArrowRight" && some) open ? this.list.pick(this.list.cursor + 1) : this.toggle(index, true);
    else if (event.key === "ArrowLeft" && open) this.toggle(index, false);
    else if (event.key === "ArrowLeft" && this.at.has(this.processes[index].parent)) this.list.pick(this.at.get(this.processes[index].parent));
    else if (event.key === "*") this.expandLevel(index);
    else if (event.key.length === 1 && /[\p{L}\p{N}._-]/u.test(event.key)) this.typeAhead(event.key.toLowerCase());
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  expandLevel(index) {
    for (const sibling of this.below(this.processes[index].parent)) this.open.add(sibling);
    this.update();
  }

  typeAhead(letter) {
    const now = performance.now();
    this.typed = now - this.typedAt < 700 ? this.typed + letter : letter;
    this.typedAt = now;
    const from = this.list.cursor + (this.typed.length === 1 ? 1 : 0);
    for (let step = 0; step < this.rows.length; step++) {
      const row = (from + step) % this.rows.length;
      if (this.processes[this.rows[row]].name.toLowerCase().startsWith(this.typed)) return this.list.pick(row);
    }
  }
}

const userOf = (one) => visible(one.user || (one.uid === null ? "" : "uid " + one.uid));

function outcomeOf(one) {
  if (one.end !== null) {
    const tone = one.signal ? "tone-bad" : one.status ? "tone-warn" : "tone-quiet";
    return el("span", { class: tone }, one.signal ? visible(one.signal) : "status " + one.status);
  }
  return el("span", { class: "tone-quiet" }, one.state === "restarted" ? "until restart" : one.state);
}
