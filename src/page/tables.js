"use strict";
// Everything that is a list: alerts, shards, culprits, tenants and keys, subpartitions. An empty one says so in words.

const ROWS_SHOWN = 20;

// A column: [title, what it shows of a row, class]. On a phone the title stands before each value.
function table(caption, columns, list, nothing) {
  if (!list.length) return el("p", { class: "note" }, nothing);
  const head = el("tr", null, ...columns.map(([title, , kind]) => el("th", { scope: "col", class: kind || null }, title)));
  const body = list.map((row) => el("tr", null, ...columns.map(([title, show, kind]) => {
    const shown = show(row);
    return el("td", { "data-label": title, class: kind || null }, isKnown(shown) && shown !== "" ? shown : UNKNOWN);
  })));
  return el("table", { class: "list" }, caption ? el("caption", null, caption) : "", el("thead", null, head), el("tbody", null, ...body));
}

// A list is built again only when it says something else: who reads it, or has the keyboard in it, is not thrown out. Whatever had
// the focus gets it back, by its name.
const shownLists = {};
function showList(id, told, make) {
  const text = JSON.stringify(told);
  if (shownLists[id] === text) return;
  shownLists[id] = text;
  const at = byId(id), active = document.activeElement, name = at.contains(active) ? active.dataset.name : undefined;
  at.replaceChildren(make());
  const again = name && [...at.querySelectorAll("[data-name]")].find((one) => one.dataset.name === name);
  if (again) again.focus();
}

// ---- what is wrong ----

function findAlerts(state, culprits) {
  const found = [], of = state.process;
  if (!state.is_ready) found.push(`Not ready: ${state.reason}`);
  if (of.log_silent_s > 0 || of.edge_log_silent_s > 0)
    found.push(`No broker has answered for ${duration(Math.max(of.log_silent_s || 0, of.edge_log_silent_s || 0))}`);
  if (of.partitions_stopped > 0) found.push(`${count(of.partitions_stopped, "partition")} stopped: a person is needed`);
  if (of.tables_stopped > 0) found.push(`${count(of.tables_stopped, "table")} stopped: too many dead letters`);
  if (of.shards_halted > 0) found.push(`${count(of.shards_halted, "shard")} halted by an error that is not understood`);
  for (const shard of state.shards) {
    const add = (text) => found.push(`Shard ${shard.name}: ${text}`);
    if (shard.silent_s > 0) add(`has answered nothing for ${duration(shard.silent_s)}`);
    else if (shard.connections === 0 && state.process.partitions > 0) add("no connection");
    if (shard.breakers_open > 0) add("answers with outages, one batch is tried at a time");
    if (shard.stalled > 0) add(`${count(shard.stalled, "subpartition")} stalled: the first record is tried in vain`);
    if (shard.paused > 0) add(`${count(shard.paused, "partition")} paused, because memory is full`);
    if (shard.parked_full > 0) add(`${count(shard.parked_full, "partition")} paused, because what may be parked is used up`);
    if (shard.held_keys > 0) add(`${count(shard.held_keys, "row")} held`);
  }
  for (const alert of culprits ? culprits.alerts : [])
    found.push(`${alert.shard ? `Shard ${alert.shard}: ` : ""}${alert.text}${isKnown(alert.since_s) ? `, for ${duration(alert.since_s)}` : ""}`);
  return found;
}

function showAlerts(state, culprits) {
  const found = findAlerts(state, culprits);
  fill("alerts", ...(found.length ? found.map((text) => el("li", { class: "bad" }, text)) : [el("li", { class: "none" }, "Nothing that this process knows of.")]));
}

// ---- the process, shards ----

function showProcess(state) {
  const of = state.process, told = [];
  if (state.edge) told.push(`${count(of.connections, "client connection")}, ${count(of.in_flight, "write")} on the way to the log, ` +
    `${count(of.waiting, "request")} waiting to hear what became of a write, ${number(of.limited_s)} a second beyond a limit.`);
  if (state.apply) told.push(`${count(of.partitions, "partition")} here, ${bytes(of.memory_bytes)} of ${bytes(of.memory_limit_bytes)} of memory for records used, ` +
    `${count(of.dead_letters, "dead letter")} since the start.`);
  byId("process").textContent = told.join(" ");
}

// What is applied, while there is something to apply all the time, and what comes meanwhile.
function ratesOf(shard) {
  return isKnown(shard.drained_s) ? `${number(shard.drained_s)} of ${number(shard.arriving_s)}` : UNKNOWN;
}

function showShards(state) {
  fill("shards", table(null, [
    ["Shard", (s) => s.name, "name"],
    ["Oldest write", (s) => duration(s.time_lag_s), "number"],
    ["Not applied", (s) => number(s.message_lag), "number"],
    ["Caught up in", (s) => catchUp(s.catch_up_s), "number"],
    ["Records/s", (s) => ratesOf(s), "number"],
    ["Rows/s", (s) => number(s.rows_s), "number"],
    ["Batch", (s) => duration(s.batch_s), "number"],
    ["Batches at once", (s) => isKnown(s.limit) ? `at most ${number(s.limit)}` : UNKNOWN, "number"],
    ["Connections", (s) => isKnown(s.connections) ? `${number(s.busy)} of ${number(s.connections)} busy` : UNKNOWN, "number"],
    ["Breaker", (s) => !isKnown(s.breakers_open) ? UNKNOWN : s.breakers_open > 0 ? el("span", { class: "bad" }, "open") : "closed"],
    ["Stalled", (s) => number(s.stalled), "number"],
    ["Parked", (s) => s.parked_records > 0 ? `${number(s.parked_records)}, ${bytes(s.parked_bytes)}` : number(s.parked_records), "number"],
    ["Held rows", (s) => number(s.held_keys), "number"],
    ["Controls", (s) => number(s.controls), "number"],
  ], state.shards, "There are no shards."));
}

// ---- who ----

const NOT_MEASURED = "Not measured by this process.";

function showCulprits(culprits) {
  const told = culprits ? culprits.partitions.filter((one) => isKnown(one.offset)) : [];
  fill("culprits", table(null, [
    ["Shard", (one) => one.shard, "name"],
    ["Partition", (one) => number(one.partition), "number"],
    ["Offset", (one) => String(one.offset), "number"],
    ["Tenant", (one) => one.tenant, "name"],
    ["Key", (one) => one.key, "name"],
    ["Written", (one) => isKnown(one.age_s) ? `${duration(one.age_s)} ago` : UNKNOWN, "number"],
    ["Holds since", (one) => isKnown(one.since_s) ? `${duration(one.since_s)}` : UNKNOWN, "number"],
    ["Reason", (one) => [one.sqlstate, one.reason].filter(Boolean).join(": ")],
    ["Attempts", (one) => number(one.attempts), "number"],
  ], told.sort((a, b) => (b.age_s || 0) - (a.age_s || 0)).slice(0, ROWS_SHOWN),
  culprits ? "Nobody: no partition is held back by a record." : NOT_MEASURED));
}

// The heaviest by each measure in turn, so that each one's leader is among them; then by records a second.
const HEAVY_BY = ["records_s", "database_s", "waited_s", "oldest_s"];
function heaviest(list) {
  const left = [...list], chosen = [], measures = HEAVY_BY.filter((by) => list.some((one) => one[by] > 0));
  while (left.length && chosen.length < ROWS_SHOWN) {
    const by = measures[chosen.length % measures.length] || HEAVY_BY[0];
    const most = left.reduce((a, b) => (b[by] || 0) > (a[by] || 0) ? b : a);
    chosen.push(...left.splice(left.indexOf(most), 1));
  }
  return chosen.sort((a, b) => (b.records_s || b.records || 0) - (a.records_s || a.records || 0));
}

function showHot(culprits) {
  const shared = [
    ["Records", (one) => number(one.records), "number"],
    ["Records/s", (one) => number(one.records_s), "number"],
    ["Database", (one) => isKnown(one.database_ratio) ? `${duration(one.database_s)} (${Math.round(100 * one.database_ratio)} %)` : duration(one.database_s), "number"],
    ["Waited", (one) => duration(one.waited_s), "number"],
  ];
  fill("tenants", table("Tenants", [["Shard", (one) => one.shard, "name"], ["Tenant", (one) => one.tenant, "name"], ...shared,
    ["Oldest write", (one) => duration(one.oldest_s), "number"]], culprits ? heaviest(culprits.tenants) : [], culprits ? "No tenants yet." : NOT_MEASURED));
  fill("keys", table("Keys", [["Shard", (one) => one.shard, "name"], ["Key", (one) => one.key, "name"], ...shared],
    culprits ? heaviest(culprits.keys) : [], culprits ? "No keys yet." : NOT_MEASURED));
}

// ---- subpartitions ----

// A row for each partition, a cell for each subpartition (or some neighbours); the darker, the more records, by the logarithm.
function drawHeat(heat) {
  const canvas = byId("heat"), columns = Math.max(1, ...heat.map((one) => one.records.length)), height = 12;
  const width = Math.max(200, canvas.parentElement.clientWidth - 34);
  canvas.hidden = !heat.length;
  canvas.width = width * devicePixelRatio;
  canvas.height = Math.max(1, heat.length) * height * devicePixelRatio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${heat.length * height}px`;
  const paint = canvas.getContext("2d"), full = colour("--c0"), bad = colour("--bad"), line = colour("--line");
  const top = Math.log1p(Math.max(1, ...heat.flatMap((one) => one.records))), step = width / columns;
  paint.scale(devicePixelRatio, devicePixelRatio);
  heat.forEach((one, y) => one.records.forEach((records, x) => {
    paint.globalAlpha = 1;
    paint.fillStyle = line;
    paint.fillRect(x * step, y * height, step - 1, height - 1);
    if (!records) return;
    paint.globalAlpha = 0.2 + 0.8 * Math.log1p(records) / top;
    paint.fillStyle = one.stalled.includes(x) ? bad : full;
    paint.fillRect(x * step, y * height, step - 1, height - 1);
  }));
}

function cellName(one, x) {
  const size = one.subpartitions / one.records.length, first = Math.ceil(x * size), end = Math.ceil((x + 1) * size) - 1;
  return first === end ? String(first) : `${first} to ${end}`;
}

function showHeat(state) {
  const heat = [...(state.heat || [])].sort((a, b) => a.partition - b.partition);
  const cells = heat.flatMap((one) => one.records.map((records, x) => ({ one, x, records, stalled: one.stalled.includes(x) }))).filter((cell) => cell.records);
  drawHeat(heat);
  const all = cells.reduce((sum, cell) => sum + cell.records, 0);
  byId("heat-said").textContent = !state.apply ? "This process applies nothing, so it has no subpartitions." :
    !heat.length ? "No partition belongs to this process now." :
    !cells.length ? `All are empty: ${count(heat.length, "partition")}, nothing waits in memory or is parked.` :
    `A row for each partition, a field for each subpartition: the stronger, the more records wait in it (${number(all)} in all); red where the first one is tried in vain. The fullest:`;
  fill("heat-table", cells.length ? table(null, [
    ["Shard", (cell) => cell.one.shard, "name"],
    ["Partition", (cell) => number(cell.one.partition), "number"],
    ["Subpartition", (cell) => cellName(cell.one, cell.x), "number"],
    ["Records", (cell) => number(cell.records), "number"],
    ["", (cell) => cell.stalled ? el("span", { class: "bad" }, "stalled") : "runs"],
  ], cells.sort((a, b) => b.records - a.records).slice(0, 5), "") : "");
}
