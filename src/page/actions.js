"use strict";
// What waits for a person, and what a person can do about it. The lists are read from the shards when they are asked for, so they
// come seldom; each action says what came of it.

// The lists cost each shard a few connections, so many shards are asked more seldom, and nobody for a page that nobody sees.
const LOOK_EVERY_MS = 10000, LOOK_SHARD_MS = 2000;
const STILL_AFTER_MS = 15000;
let lookTimer = 0, isStarted = false;

// All held rows of all shards may take minutes, and the process goes on with it whoever waits: no limit of time.
async function act(path, wish, busy) {
  if (busy) busy.disabled = true;
  say("did", "Working on it ...");
  const still = setTimeout(() => say("did", "Still working on it. It goes on if this page is closed, and the lists show how far it is."), STILL_AFTER_MS);
  try {
    const done = await ask(path, wish, 0);
    say("did", done.text.join(" "));
  } catch (error) {
    say("did", `It did not work: ${error.message}`);
  } finally {
    clearTimeout(still);
  }
  if (busy) busy.disabled = false;
  await lookNow();
}

function button(text, name, press) {
  return el("button", { type: "button", "data-name": name, "aria-label": name, click: (event) => press(event.target) }, text);
}

function heldButtons(row) {
  const wish = { shard: row.shard, table: row.table, key: row.key }, name = `${row.key} of ${row.table}`;
  if (!isKnown(row.key)) return "by `leat dead retry`: its key is no text";
  return el("span", null,
    button("Retry", `Retry ${name}`, (pressed) => act("held/retry", wish, pressed)), " ",
    button("Discard", `Discard ${name}`, (pressed) => {
      if (confirm(`Give up ${count(row.records, "write")} of row ${name}? They become dead letters.`)) act("held/discard", wish, pressed);
    }));
}

function showWaiting(waiting) {
  showList("held", waiting.held, () => table(null, [
    ["Shard", (row) => row.shard, "name"],
    ["Table", (row) => row.table, "name"],
    ["Key", (row) => row.key ?? row.key_base64, "name"],
    ["Writes", (row) => number(row.records), "number"],
    ["Since", (row) => row.since],
    ["Refused because", (row) => `${row.sqlstate ? row.sqlstate + ": " : ""}${row.message || ""}`],
    ["Do", heldButtons],
  ], waiting.held, "No row is held."));
  showList("dead", waiting.dead, () => table(null, [
    ["Shard", (row) => row.shard, "name"],
    ["When", (row) => row.at],
    ["Partition, offset", (row) => `${row.partition}, ${row.offset}`, "number"],
    ["Route", (row) => row.route, "name"],
    ["Key", (row) => row.key ?? row.key_base64, "name"],
    ["Operation", (row) => row.op],
    ["Refused because", (row) => `${row.sqlstate ? row.sqlstate + ": " : ""}${row.message || ""}`],
  ], waiting.dead, "There are no dead letters."));
  showList("controls", waiting.controls.map((row) => ({ ...row, left: null })), () => table(null, [
    ["Shard", (row) => row.shard, "name"],
    ["Of", (row) => row.table ? `key ${row.key} of ${row.table}` : `tenant ${row.tenant}`, "name"],
    ["Records are", (row) => row.action === "hold" ? "held" : "skipped"],
    ["Until", (row) => row.until],
    ["Because", (row) => row.reason],
    ["Do", (row) => {
      const wish = row.table ? { key: row.key, table: row.table } : { tenant: row.tenant };
      return button("Remove", `Remove the control of ${row.key || row.tenant}`, (pressed) => act("controls/unblock", wish, pressed));
    }],
  ], waiting.controls, "No control is in effect."));
  byId("retry-all").disabled = !waiting.held.length;
  say("waiting-said", waiting.failures.map((one) => `Shard ${one.shard} could not be read: ${one.error}.`).join(" "));
}

async function lookNow() {
  clearTimeout(lookTimer);
  try {
    showWaiting(await ask("waiting"));
  } catch (error) {
    if (!(error instanceof NeedsToken)) say("waiting-said", `The shards could not be asked: ${error.message}`);
  }
  lookTimer = setTimeout(lookAgain, Math.max(LOOK_EVERY_MS, state ? LOOK_SHARD_MS * state.shards.length : 0));
}

function lookAgain() {
  if (document.hidden) document.addEventListener("visibilitychange", lookNow, { once: true });
  else lookNow();
}

function putControl(event) {
  event.preventDefault();
  const form = event.target, value = (name) => form.elements[name].value.trim();
  const wish = { for: value("for"), action: value("action") };
  for (const name of ["tenant", "key", "table", "reason"]) if (value(name)) wish[name] = value(name);
  const what = wish.tenant ? `tenant ${wish.tenant}` : `key ${wish.key}`;
  if (wish.action === "skip" && !confirm(`Skip all records of ${what} for ${wish.for}? They do not come back.`)) return;
  act("controls/block", wish, form.querySelector("button"));
}

function startActions() {
  if (isStarted) return;
  isStarted = true;
  document.querySelectorAll(".acts").forEach((section) => section.hidden = false);
  byId("look").addEventListener("click", lookNow);
  byId("retry-all").addEventListener("click", (event) => act("held/retry", {}, event.target));
  byId("control").addEventListener("submit", putControl);
  lookNow();
}
