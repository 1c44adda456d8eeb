// SPDX-License-Identifier: Apache-2.0
// The selected process, and the selected event's whole record.

function showProcess(box, one, processes, { base, pick, hidden }) {
  if (one.relation === "group") {
    box.replaceChildren(el("p", { class: "line mono" }, el("b", {}, visible(one.binary))),
      el("p", { class: "empty" }, "Stands for what was asked for; those meant, and their ancestors, are below."));
    return;
  }
  const above = [];
  for (let at = one.parent; at >= 0; at = processes[at].parent) above.unshift(at);
  const crumbs = above.slice(-8).map((at) =>
    el("button", { type: "button", onclick: () => pick(at) }, visible(processes[at].name || "?") + " ›"));
  const command = one.binary + (one.arguments ? " " + one.arguments : "");
  const lived = one.end !== null && one.start !== null ? " after " + duration(one.end - one.start) : "";
  const ended = one.end !== null ? full(base, one.end) + lived : one.replaced !== null ? "replaced " + full(base, one.replaced)
    : one.state === "restarted" ? "with the machine's restart" : "not seen";
  const rows = [
    ["pid", one.pid || "unknown"], ["User", one.uid === null ? "" : (one.user ? one.user + " (" + one.uid + ")" : one.uid)],
    ["Started", full(base, one.start)], ["Ended", ended],
    ["Outcome", one.end === null ? "" : one.signal || "status " + one.status], ["Directory", one.cwd],
    ["Pod", one.pod ? one.namespace + "/" + one.pod : ""], ["Container", one.container],
    ["exec_id", one.exec_id],
    ["Known from", one.recorded ? "" : "records of others: its own start is not in the log"],
  ];
  const facts = rows.filter(([, text]) => text !== "" && text !== null && text !== undefined)
    .flatMap(([name, text]) => [el("dt", {}, name), el("dd", { class: "mono" }, visible(text))]);
  box.replaceChildren(
    crumbs.length ? el("div", { class: "crumbs", "aria-label": "Ancestors" }, ...crumbs) : "",
    el("p", { class: "line mono" }, el("b", {}, visible(one.binary || "(program not in the log)")), " " + visible(one.arguments)),
    el("div", { class: "bar" }, copyButton("Copy exec_id", () => one.exec_id, "exec_id"),
      hidden ? "" : copyButton("Copy command", () => visible(command), "Command")),
    el("dl", {}, ...facts));
}

// Blocks of packed records, each opened once.
class Records {
  constructor(blocks, size) {
    this.blocks = blocks;
    this.size = size;
    this.opened = new Map();
  }

  async get(index) {
    const block = Math.floor(index / this.size);
    if (!this.opened.has(block)) this.opened.set(block, unpack(this.blocks[block]));
    return (await this.opened.get(block))[index % this.size];
  }
}

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function showRecord(box, index, event, records, base) {
  box.dataset.index = index;
  let text;
  try {
    text = visibleJson(await records.get(index));
  } catch (error) {
    text = "This browser cannot unpack the record (" + error.message + ").";
  }
  if (Number(box.dataset.index) !== index) return;
  box.replaceChildren(
    el("p", { class: "quiet" }, visible(event.type) + ", record " + event.sequence + ", " + full(base, event.time)),
    copyButton("Copy record", () => text, "Record"), el("pre", {}, text));
}
