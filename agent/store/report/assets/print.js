// SPDX-License-Identifier: Apache-2.0
// What a sheet of paper gets: the tree and the events as text, because lists on paper do not scroll.

const ON_PAPER = 2000;

function paperText(tree, events, base, nameOf) {
  const lines = ["Processes", ""];
  const stack = [...tree.roots].reverse();
  while (stack.length && lines.length < ON_PAPER) {
    const index = stack.pop(), one = tree.processes[index];
    stack.push(...[...tree.children[index]].reverse());
    lines.push("  ".repeat(Math.min(one.depth, DEEPEST)) + visible((one.relation === "group" ? "" : (one.pid || "?") + " ") + (one.binary || "(not in the log)")
      + " " + one.arguments.slice(0, 300)) + "  (" + [userOf(one), short(base, one.start), outcomeOf(one).textContent].filter(Boolean).join(", ") + ")");
  }
  if (stack.length) lines.push("… more processes stand in the file");
  lines.push("", "Events", "");
  for (const event of events.slice(0, ON_PAPER)) {
    lines.push(clock(base, event.time, 6) + "  " + nameOf(event.process) + "  " + visible(event.summary.slice(0, 300)));
  }
  if (events.length > ON_PAPER) lines.push("… " + plural(events.length - ON_PAPER, "more event") + " in the file");
  return lines.join("\n");
}
