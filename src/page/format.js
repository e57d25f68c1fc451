"use strict";
// How elements, numbers and times are made, for all that follows. Texts come from records and servers, so nothing here is ever
// read as HTML.

function byId(id) { return document.getElementById(id); }

// el("td", {class: "name"}, "7/1"): a child is an element or a text.
function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const UNKNOWN = "–";

function isKnown(value) { return value !== null && value !== undefined; }

function number(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value !== 0 && Math.abs(value) < 10 && !Number.isInteger(value)) return value.toFixed(Math.abs(value) < 0.1 ? 3 : 1);
  return Math.round(value).toLocaleString("en-US");
}

// Of seconds: "0.2 s", "14 s", "3 min 5 s", "2 h 10 min", "3 d 4 h".
function duration(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  if (seconds < 0) seconds = 0;
  if (seconds < 10) return `${Number(seconds.toFixed(seconds < 0.1 ? 3 : 1))} s`;
  const whole = Math.round(seconds);
  for (const [size, name, below, belowName] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]])
    if (whole >= size) {
      const rest = Math.floor(whole % size / below);
      return `${Math.floor(whole / size)} ${name}` + (rest ? ` ${rest} ${belowName}` : "");
    }
  return `${whole} s`;
}

const NEVER_S = 365 * 86400; // LEAT_CATCH_UP_NEVER_MS, as leat_catch_up_seconds has it

function catchUp(seconds) { return seconds >= NEVER_S ? "never, at these rates" : duration(seconds); }

function bytes(value) {
  if (!isKnown(value)) return UNKNOWN;
  for (const [size, name] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (value >= size) return `${number(value / size)} ${name}`;
  return `${number(value)} B`;
}

function clock(ms) { return new Date(ms).toLocaleTimeString(); }

function count(value, one, many) { return `${number(value)} ${value === 1 ? one : many || one + "s"}`; }

// Puts `children` in place of what is there.
function fill(id, ...children) { byId(id).replaceChildren(...children); }

// Sets a text only when it is another, so that a screen reader is told of changes alone.
function say(id, text) {
  const at = byId(id);
  if (at.textContent !== text) at.textContent = text;
}
