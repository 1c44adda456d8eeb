// SPDX-License-Identifier: Apache-2.0
// Elements, texts of others, and times. Text enters the page through textContent only.

const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e" };

function escaped(character) {
  const code = character.codePointAt(0);
  if (NAMED[character]) return NAMED[character];
  if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + (code - 0xdc00).toString(16);
  if (code < 0x80) return "\\x" + code.toString(16).padStart(2, "0");
  if (code < 0x10000) return "\\u" + code.toString(16).padStart(4, "0");
  return "\\U" + code.toString(16).padStart(8, "0");
}

// Whatever nobody can see, or turns the direction of writing, escaped; bytes that are no UTF-8 as \xNN.
function visible(text) {
  return String(text).replace(UNSEEN, escaped);
}

// JSON for people that is still JSON: what cannot be seen as \uNNNN.
function visibleJson(value) {
  const escape = (c) => c === "\n" || c === " " ? c
    : Array.from({ length: c.length }, (_, i) => "\\u" + c.charCodeAt(i).toString(16).padStart(4, "0")).join("");
  return JSON.stringify(value, null, 2).replace(UNSEEN, escape);
}

function el(name, properties, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

const byId = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");
const plural = (count, noun) => number(count) + " " + noun + (count === 1 ? "" : "s");
const baseName = (path) => path.slice(path.lastIndexOf("/") + 1) || path;

// Times: nanoseconds after `base`, a BigInt of wall-clock nanoseconds.
const pad = (value, width) => String(value).padStart(width, "0");

function stamp(base, offset) {
  const whole = base + BigInt(Math.round(offset));
  return { date: new Date(Number(whole / 1000000n)), rest: Number(whole % 1000000000n) };
}

function clock(base, offset, digits) {
  if (offset === null) return "–";
  const { date, rest } = stamp(base, offset);
  const fraction = digits ? "." + pad(rest, 9).slice(0, digits) : "";
  return date.toISOString().slice(11, 19) + fraction;
}

// A time in a table: the day stands before it where it is not that of the incident's beginning.
function short(base, offset) {
  if (offset === null || day(base, offset) === day(base, 0)) return clock(base, offset, 3);
  return day(base, offset) + " " + clock(base, offset, 0).slice(0, 5);
}

const day = (base, offset) => stamp(base, offset).date.toISOString().slice(0, 10);
const full = (base, offset) => offset === null ? "unknown" : day(base, offset) + " " + clock(base, offset, 9) + " UTC";

function duration(ns) {
  const units = [[86400e9, "d"], [3600e9, "h"], [60e9, "min"], [1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  for (const [size, unit] of units) {
    if (ns >= size) return (ns / size >= 100 ? Math.round(ns / size) : Number((ns / size).toPrecision(3))) + " " + unit;
  }
  return Math.round(ns) + " ns";
}

let toastTimer = 0;
function toast(text) {
  const box = byId("toast");
  box.textContent = text;
  box.classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove("on"), 1600);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { readonly: "" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(what + " copied");
}

const copyButton = (label, text, what) =>
  el("button", { type: "button", onclick: () => copy(text(), what) }, label);
