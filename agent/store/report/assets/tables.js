// SPDX-License-Identifier: Apache-2.0
// Summaries as tables that can be sorted; a row's name filters the events.

const SHOWN = 100;

// columns: [heading, kind, value of a row]; kinds: key, words, tags, number, when, processes.
function table(box, rows, columns, context) {
  let order = { column: -1, up: false }, most = SHOWN;
  const draw = () => {
    const sorted = order.column < 0 ? rows : [...rows].sort(compare(columns[order.column][2], order.up));
    const heads = columns.map(([name, kind], i) => el("th", {
      scope: "col", class: kind === "number" ? "number" : null,
      "aria-sort": order.column === i ? (order.up ? "ascending" : "descending") : null,
    }, el("button", { type: "button", onclick: () => sort(i) }, name)));
    const body = sorted.slice(0, most).map((row) => el("tr", {}, ...columns.map((column) => cell(column, row, context))));
    const more = rows.length > most ? el("p", { class: "notice" }, plural(rows.length - most, "more row") + " ",
      el("button", { type: "button", onclick: () => { most += 1000; draw(); } }, "Show more")) : null;
    box.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...body)), ...(more ? [more] : []));
  };
  const sort = (column) => {
    order = { column, up: order.column === column ? !order.up : columns[column][1] !== "number" };
    draw();
    box.querySelectorAll("th button")[column].focus();
  };
  draw();
}

function compare(value, up) {
  return (a, b) => {
    const [one, other] = [value(a), value(b)];
    const order = typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other));
    return up ? order : -order;
  };
}

function cell([, kind, value], row, { base, pick, find, nameOf }) {
  const content = value(row);
  if (kind === "key") {
    return el("td", { class: "mono" }, el("button", { type: "button", class: "link", onclick: () => find(row.key) }, visible(content)));
  }
  if (kind === "number") return el("td", { class: "number" }, number(content));
  if (kind === "when") return el("td", { class: "when", title: full(base, content) }, short(base, content));
  if (kind === "tags") return el("td", {}, ...String(content).split(", ").filter(Boolean).map((one) => el("span", { class: "tag" }, visible(one))));
  if (kind !== "processes") return el("td", { class: kind === "bad" ? "tone-bad" : null }, visible(content));
  const shown = row.processes.slice(0, 3).map((one) =>
    el("button", { type: "button", class: "link mono", onclick: () => pick(one) }, nameOf(one)));
  const rest = row.process_count - shown.length;
  const spaced = shown.flatMap((one, i) => i ? [", ", one] : [one]);
  return el("td", {}, ...spaced, rest > 0 ? " and " + number(rest) + " more" : "");
}

const TABLES = {
  findings: [
    ["Name", "key", (row) => row.key], ["Kind", "words", (row) => row.kind], ["Level", "tags", (row) => row.level],
    ["ATT&CK", "tags", (row) => row.attack], ["Done", "bad", (row) => row.outcome],
    ["Events", "number", (row) => row.count], ["First", "when", (row) => row.first], ["Last", "when", (row) => row.last],
    ["Processes", "processes", (row) => row.process_count],
  ],
  network: [
    ["Peer", "key", (row) => row.key], ["Network", "words", (row) => row.scope], ["Protocol", "words", (row) => row.protocol],
    ["Calls", "words", (row) => row.function], ["Done", "bad", (row) => row.outcome],
    ["Events", "number", (row) => row.count], ["First", "when", (row) => row.first], ["Last", "when", (row) => row.last],
    ["Processes", "processes", (row) => row.process_count],
  ],
  files: [
    ["Path", "key", (row) => row.key], ["Calls", "words", (row) => row.function], ["Done", "bad", (row) => row.outcome],
    ["Events", "number", (row) => row.count], ["First", "when", (row) => row.first], ["Last", "when", (row) => row.last],
    ["Processes", "processes", (row) => row.process_count],
  ],
  privileges: [
    ["Change", "words", (row) => row.key], ["Seen as", "words", (row) => row.how], ["Count", "number", (row) => row.count],
    ["First", "when", (row) => row.first], ["Last", "when", (row) => row.last],
    ["Processes", "processes", (row) => row.process_count],
  ],
};
