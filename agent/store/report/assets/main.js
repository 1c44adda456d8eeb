// SPDX-License-Identifier: Apache-2.0
// Puts the parts together: one selected process, one selected event, one period, seen by all of them.

const data = JSON.parse(byId("data").textContent);
const base = BigInt(data.base);
const objects = ({ columns, rows }) => rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));
const processes = objects(data.processes);
const events = objects(data.happenings);

// Lanes without a happening would only make the others hard to find.
const used = data.lanes.map((_, lane) => events.some((event) => event.lane === lane));
const lanes = data.lanes.filter((_, lane) => used[lane]);
const laneAt = used.map((_, lane) => used.slice(0, lane).filter(Boolean).length);

processes.forEach((one) => {
  const above = processes[one.parent];
  one.depth = above ? above.depth + 1 : 0;
  one.name = one.relation === "group" ? one.binary : baseName(one.binary);
  one.events = one.findings = 0;
  one.text = [one.binary, one.arguments, one.pid, one.user, one.exec_id, one.container, one.pod, one.signal].join(" ").toLowerCase();
});
events.forEach((event) => {
  const one = processes[event.process];
  event.lane = laneAt[event.lane];
  event.text = [event.summary, event.function, event.policy, event.path, event.address, event.type].join(" ").toLowerCase();
  if (one) one.events++;
  if (one && lanes[event.lane][0] === "detection") one.findings++;
});

const nameOf = (index) => {
  const one = processes[index];
  return one ? visible((one.name || "?") + " (" + (one.pid || "?") + ")") : "";
};
const records = new Records(data.records, data.block);
let selected = processes.findIndex((one) => one.relation === "root" || one.relation === "group");

byId("tree").style.height = Math.min(processes.length, MOST_ROWS) * ROW + 2 + "px";
byId("list").style.height = Math.min(Math.max(events.length, 1), MOST_ROWS) * ROW + 2 + "px";
const tree = new Tree(byId("tree"), processes, base, pick);
const list = new Events(byId("list"), events, { base, lanes, nameOf, choose: pickEvent });
const timeline = new Timeline(
  { plot: byId("plot"), canvas: byId("canvas"), overview: byId("overview"), tip: byId("tip") }, events, lanes,
  { base, losses: data.losses, onRange: changed, onPick: pickEvent });
timeline.label = (event) => nameOf(event.process) + (event.process >= 0 ? "  " : "") + event.summary;

function pick(index, keepEvent) {
  selected = index;
  tree.reveal(index);
  showProcess(byId("process"), processes[index], processes, { base, pick, hidden: data.hidden });
  if (!keepEvent) timeline.select(timeline.selected, (event) => event.process === index);
  if (byId("scope").value !== "all") changed();
}

function pickEvent(index) {
  const event = events[index];
  if (event.process >= 0) pick(event.process, true);
  timeline.select(index, (other) => other.process === event.process);
  list.select(index);
  showRecord(byId("raw"), index, event, records, base);
}

// A process and its descendants; they come after it.
function subtree(index) {
  const found = new Set([index]);
  for (let at = index + 1; at < processes.length; at++) if (found.has(processes[at].parent)) found.add(at);
  return found;
}

let pending = false;
function changed() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    filter();
  });
}

function filter() {
  const [from, to] = byId("linked").checked ? timeline.range : [-Infinity, Infinity];
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean), scope = byId("scope").value;
  const below = scope === "below" ? subtree(selected) : null;
  list.filter((event) => event.time >= from && event.time <= to && !timeline.hidden.has(event.lane)
    && (scope === "all" || (scope === "one" ? event.process === selected : below.has(event.process)))
    && words.every((word) => event.text.includes(word)));
  byId("shown").textContent = number(list.rows.length) + " of " + number(events.length);
  const [start, end] = timeline.range;
  byId("range").textContent = day(base, start) + " " + clock(base, start, 3) + " to " + clock(base, end, 3) + " UTC ("
    + duration(end - start) + ")" + (timeline.isWhole() ? ", the whole period" : "");
}

function find(text) {
  byId("filter").value = text;
  byId("scope").value = "all";
  timeline.hidden.clear();
  laneButtons();
  timeline.setRange(...timeline.whole);
  byId("events").scrollIntoView({ block: "nearest" });
  byId("list").focus({ preventScroll: true });
}

function laneButtons() {
  byId("lanes").replaceChildren(...lanes.map(([key, name], lane) =>
    el("button", { type: "button", class: "lane-" + key, "aria-pressed": String(!timeline.hidden.has(lane)), onclick: () => {
      timeline.toggle(lane);
      laneButtons();
      byId("lanes").children[lane].focus();
    } }, el("i", { class: "dot" }), el("span", { class: "words" }, name),
    el("span", { class: "count" }, number(timeline.byLane[lane].length)))));
}

function summaries() {
  const context = { base, pick: (index) => { pick(index); byId("processes").scrollIntoView({ block: "nearest" }); }, find, nameOf };
  const rows = { findings: data.findings, ...data.tables };
  const nothing = { findings: "No detections, and no events of policies.", network: "No events with a peer's address.",
    files: "No events with a path. Files are seen by policies.", privileges: "No change of user or rights was seen." };
  for (const [name, columns] of Object.entries(TABLES)) {
    const box = byId(name).querySelector(".table");
    const used = columns.filter(([, kind, value]) => kind === "key" || kind === "number" || rows[name].some((row) => value(row) !== ""));
    if (rows[name].length) table(box, rows[name], used, context);
    else box.replaceChildren(el("p", { class: "empty" }, nothing[name]));
  }
  const detections = data.findings.filter((row) => row.kind === "detection").length;
  const parts = [["findings", "Detections and policies", data.findings.length], ["timeline", "Timeline", null],
    ["processes", "Processes", processes.length], ["events", "Events", events.length], ["network", "Network", rows.network.length],
    ["files", "Files", rows.files.length], ["privileges", "Privileges", rows.privileges.length]];
  byId("nav").replaceChildren(...parts.map(([id, name, count]) =>
    el("a", { href: "#" + id, class: id === "findings" && detections ? "alarm" : null }, name,
      count === null ? "" : el("span", {}, number(count)))));
}

const THEMES = ["system", "light", "dark"];
function theme() {
  const now = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme || "system") + 1) % 3];
  if (now === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
  byId("theme").textContent = "Colours: " + now;
  timeline.soon();
}

function search(event) {
  const text = byId("search").value, found = tree.search(text);
  byId("found").textContent = text.trim() ? number(found) + " of " + number(processes.length) : "";
  if (event && found) pick(tree.next(1));
}

byId("theme").addEventListener("click", theme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => timeline.soon());
byId("search").addEventListener("input", () => search());
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && tree.next(1) >= 0) pick(tree.next(event.shiftKey ? -1 : 1));
  else if (event.key === "ArrowDown") byId("tree").focus();
  else if (event.key === "Escape" && byId("search").value) { byId("search").value = ""; search(); }
  else return;
  event.preventDefault();
});
byId("open-all").addEventListener("click", () => tree.all(true));
byId("close-all").addEventListener("click", () => tree.all(false));
byId("zoom-in").addEventListener("click", () => timeline.zoom(0.5));
byId("zoom-out").addEventListener("click", () => timeline.zoom(2));
byId("zoom-all").addEventListener("click", () => timeline.setRange(...timeline.whole));
for (const id of ["filter", "scope", "linked"]) byId(id).addEventListener("input", changed);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  event.preventDefault();
  byId("search").focus();
});
addEventListener("beforeprint", () => { byId("paper").textContent = paperText(tree, events, base, nameOf); drawTimeline(timeline); });

laneButtons();
summaries();
filter();
byId("raw").replaceChildren(el("p", { class: "empty" }, "Choose an event to see its record as it stands in the log."));
if (selected >= 0) pick(selected);
timeline.select(-1, null);
document.documentElement.dataset.ready = "yes";
