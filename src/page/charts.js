"use strict";
// The rows that /state has sent, at most 15 minutes of them, and the charts over them. A chart is drawn on a canvas, which nobody
// can read with a keyboard or aloud, so a sentence above it says the same.

const ROWS_MAX = 450;
const TIME_WIDTH = 90; // pixels between two labels: a time of day and a gap, "10:35:00 PM"
const SHARD_SERIES_MAX = 8; // more lines than these nobody tells apart: the ones that are furthest behind

const rows = { next: 0, at: [], process: {}, shards: [] };
const charts = {};

function forgetRows() { Object.assign(rows, { next: 0, at: [], process: {}, shards: [] }); }

function extend(columns, more) {
  for (const [name, values] of Object.entries(more)) {
    columns[name] = (columns[name] || []).concat(values);
    columns[name].splice(0, columns[name].length - ROWS_MAX);
  }
}

// Two questions may be under way at once, as when the token is given during a poll: the second answer has the same rows.
function takeRows(history) {
  if (history.next - history.at_ms.length < rows.next) return;
  rows.next = history.next;
  rows.at = rows.at.concat(history.at_ms.map((ms) => ms / 1000));
  rows.at.splice(0, rows.at.length - ROWS_MAX);
  extend(rows.process, history.process);
  history.shards.forEach((columns, i) => extend(rows.shards[i] = rows.shards[i] || {}, columns));
}

function colour(name) {
  // A canvas does not know var(), nor light-dark(): an element does.
  const probe = el("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function last(values) { return values && values.length ? values[values.length - 1] : null; }

function most(values) { return (values || []).reduce((a, b) => b !== null && (a === null || b > a) ? b : a, null); }

// The shards that are drawn: all, or those with the largest values.
function shardSeries(state, member) {
  const all = state.shards.map((shard, i) => ({ label: shard.name, values: (rows.shards[i] || {})[member] || [] }));
  if (all.length <= SHARD_SERIES_MAX) return all;
  return all.sort((a, b) => (most(b.values) || 0) - (most(a.values) || 0)).slice(0, SHARD_SERIES_MAX);
}

function destroyChart(id) {
  if (charts[id]) charts[id].plot.destroy();
  delete charts[id];
}

function makeChart(id, labels, width, format) {
  const grid = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--soft"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  const times = { ...axis, space: TIME_WIDTH, values: (plot, values) => values.map((at) => clock(at * 1000)) };
  const options = {
    width, height: 190, cursor: { sync: { key: "leat" } },
    scales: { x: { time: true }, y: { range: (plot, low, high) => [0, Math.max(high || 0, 1) * 1.05] } },
    axes: [times, { ...axis, size: 64, values: (plot, values) => values.map(format) }],
    series: [{ value: (plot, at) => at ? clock(at * 1000) : UNKNOWN }].concat(labels.map((label, i) => ({
      label, stroke: colour(`--c${i % 8}`), width: 1.5, points: { show: false }, value: (plot, value) => format(value) }))),
  };
  return new uPlot(options, [[], ...labels.map(() => [])], byId(id).querySelector(".plot"));
}

function drawChart(id, series, said, format) {
  const figure = byId(id);
  const text = figure.querySelector(".said");
  if (text.textContent !== said) text.textContent = said;
  if (typeof uPlot === "undefined") return;
  const labels = series.map((one) => one.label), key = JSON.stringify(labels), width = figure.clientWidth;
  if (!charts[id] || charts[id].key !== key) {
    destroyChart(id);
    charts[id] = { key, width, plot: makeChart(id, labels, width, format) };
  }
  if (charts[id].width !== width) {
    charts[id].width = width;
    charts[id].plot.setSize({ width, height: 190 });
  }
  charts[id].plot.setData([rows.at, ...series.map((one) => rows.at.map((at, i) => one.values[i] ?? null))]);
}

function sayWorst(series, format, nothing) {
  const now = series.map((one) => ({ label: one.label, now: last(one.values), most: most(one.values) })).filter((one) => isKnown(one.now));
  if (!now.length) return nothing;
  const worst = now.reduce((a, b) => b.now > a.now ? b : a);
  return `Now at most ${format(worst.now)} (shard ${worst.label}); in the last ${duration(last(rows.at) - rows.at[0])} at most ` +
    `${format(Math.max(...now.map((one) => one.most)))}.`;
}

function drawCharts(state) {
  byId("no-charts").hidden = typeof uPlot !== "undefined";
  const lag = shardSeries(state, "time_lag_s"), behind = shardSeries(state, "message_lag");
  const nothing = state.apply ? "Not known yet: no partition is claimed." : "This process applies nothing.";
  drawChart("time-lag", lag, sayWorst(lag, duration, nothing), duration);
  drawChart("message-lag", behind, sayWorst(behind, number, nothing), number);
  const flow = [];
  if (state.edge) flow.push({ label: "accepted", values: rows.process.accepted_s || [] });
  if (state.apply) flow.push({ label: "applied", values: rows.process.applied_s || [] });
  if (state.edge) flow.push({ label: "refused", values: rows.process.refused_s || [] });
  drawChart("flow", flow, "Now " + flow.map((one) => `${number(last(one.values))} ${one.label}`).join(", ") + " a second.", number);
}

function redrawCharts(state) {
  Object.keys(charts).forEach(destroyChart);
  if (state) drawCharts(state);
}
