"use strict";
// Asks the process every two seconds and draws what it says. A page that shows old numbers as if they were new is worse than none:
// without an answer it says so, since when, and fades.

const TOKEN = "leat-admin-token", THEME = "leat-theme";
const ASK_EVERY_MS = 2000, ANSWER_WITHIN_MS = 30000, STATE_WITHIN_MS = 5000;

const NO_CULPRITS = { partitions: [], tenants: [], keys: [], alerts: [] };

class NeedsToken extends Error {}

let state = null, culprits = null, instance = "", heardMs = 0;

// `withinMs` 0: however long it takes.
async function ask(path, wish, withinMs = ANSWER_WITHIN_MS) {
  const token = sessionStorage.getItem(TOKEN), headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (wish) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { headers, method: wish ? "POST" : "GET", body: wish ? JSON.stringify(wish) : undefined,
    cache: "no-store", signal: withinMs ? AbortSignal.timeout(withinMs) : undefined });
  const said = await answer.json().catch(() => ({}));
  if (answer.status === 401) throw new NeedsToken(said.message || "a token is needed");
  if (!answer.ok) throw new Error(said.message || `status ${answer.status}`);
  return said;
}

// ---- is it alive ----

function showBanner(text) {
  byId("banner").hidden = !text;
  say("banner", text || "");
  document.body.classList.toggle("stale", Boolean(text));
}

function askForToken(wanted, message) {
  const form = byId("token");
  if (wanted && form.hidden) byId("token-text").focus({ preventScroll: true });
  form.hidden = !wanted;
  if (wanted) showBanner(sessionStorage.getItem(TOKEN) ? `The token was refused: ${message}.` : "Nothing can be shown without the token.");
}

function showFreshness() {
  if (!heardMs) return;
  const silent = (Date.now() - heardMs) / 1000;
  byId("fresh").textContent = `as of ${clock(heardMs)}`;
  if (silent > 3 * ASK_EVERY_MS / 1000) showBanner(`The process has not answered for ${duration(Math.round(silent))}: it is gone, or cannot be reached. What is shown is as of ${clock(heardMs)}.`);
}

function showOld() {
  const old = rows.at.length ? state.now_ms / 1000 - last(rows.at) : 0;
  showBanner(old > 5 * state.every_s ? `The process answers, but its numbers are ${duration(old)} old: it is overloaded or stands still.` : "");
}

// ---- drawing ----

function draw() {
  const parts = [state.edge && "accepts writes", state.apply && (state.edge ? "applies them" : "applies writes")].filter(Boolean).join(" and ");
  byId("who").textContent = `${state.command || ""} on ${state.host || "?"} (process ${state.pid}), topic ${state.topic}, version ${state.version}: ${parts}, up for ${duration((state.now_ms - state.started_ms) / 1000)}`;
  say("health", state.is_ready ? "ready" : `not ready: ${state.reason}`);
  byId("health").classList.toggle("bad", !state.is_ready);
  byId("role").hidden = state.edge && state.apply;
  byId("role").textContent = !state.apply ? "This process only accepts writes (leat edge). Lag, culprits and subpartitions are on the pages of the processes that apply." :
    "This process only applies writes (leat apply). What is accepted is on the pages of the edges.";
  document.title = `${state.is_ready ? "" : "! "}leat ${state.host || ""}`;
  showAlerts(state, culprits);
  drawCharts(state);
  showProcess(state);
  showShards(state);
  showCulprits(culprits);
  showHot(culprits);
  showHeat(state);
  byId("no-acts").hidden = state.acts;
  if (state.acts) startActions();
}

function takeState(found) {
  const from = `${found.host} ${found.pid} ${found.started_ms}`;
  const isNew = instance !== from;
  if (isNew && instance) {
    instance = "";
    forgetRows();
    return false; // its rows are those from a number on that another process gave
  }
  instance = from;
  state = found;
  takeRows(found.history);
  return true;
}

async function askAll() {
  const found = await ask(`state?from=${rows.next}`, undefined, STATE_WITHIN_MS);
  if (!takeState(found) && !takeState(await ask("state?from=0", undefined, STATE_WITHIN_MS))) return;
  culprits = found.apply ? { ...NO_CULPRITS, ...await ask("culprits", undefined, STATE_WITHIN_MS) } : null;
  heardMs = Date.now();
  askForToken(false);
  showOld();
  draw();
}

async function poll() {
  try {
    await askAll();
  } catch (error) {
    if (error instanceof NeedsToken) askForToken(true, error.message);
    else if (!heardMs) showBanner(`The process does not answer: ${error.message}`);
  }
  showFreshness();
  setTimeout(poll, ASK_EVERY_MS);
}

// ---- light and dark ----

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function showTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  redrawCharts(state);
  if (state) showHeat(state);
}

function startTheme() {
  const chosen = localStorage.getItem(THEME);
  if (chosen) document.documentElement.dataset.theme = chosen;
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem(THEME, document.documentElement.dataset.theme);
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
  showTheme();
}

byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token-text").value);
  byId("token-text").value = "";
  askAll().then(() => state.acts && lookNow()).catch((error) => askForToken(error instanceof NeedsToken, error.message));
});
addEventListener("resize", () => state && draw());
startTheme();
poll();
