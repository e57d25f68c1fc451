"""What bench/compare found, as text and as one HTML file that asks for nothing from outside."""

from plot import escaped, picture

TITLES = {"steady": "Steady load", "spike": "A spike", "stall": "The database stands still", "hot_row": "One hot row",
          "restart": "What writes to the database is killed"}
ABOUT = {
    "steady": "Writes come at a rate that the synchronous endpoint carries well.",
    "spike": "For the shaded time {spike} times as many writes come.",
    "stall": "For the shaded time, {stall:g} s, all processes of the database are stopped, as by a failing disk or a lock on everything. The "
             "synchronous endpoint lets a write wait for {sync[timeout]}.",
    "hot_row": "Two thirds of the writes are for one row: a counter that everybody increments.",
    "restart": "At the begin of the shaded time the process that writes to the database is killed (SIGKILL) and started again. In the "
               "synchronous case that is the endpoint itself; in the asynchronous case it is the consumer, and the endpoint goes on.",
}
WHY = {
    "steady": "What a write has to wait for with the log is the way through it: to the broker and its acknowledgement, to the consumer, and "
              "into a batch.",
    "spike": "In the request the connections of the pool bound what goes through, and what does not fit into its queue is refused; the log "
             "takes it, and batches grow with what waits.",
    "stall": "In the request each write waits for the database, or is refused because the queue is full; the log goes on accepting, and what "
             "it has is applied once the database goes on.",
    "hot_row": "In the request each write to the row waits for the commit of the one before it; the consumer adds up what waits for a row and "
               "writes it once.",
    "restart": "A consumer that is killed says no goodbye: its group gives its partitions to the new one only when the session has timed out "
               "(session.timeout.ms, 10 s). That is what the latest write waits for; a consumer that is stopped (SIGTERM) hands them over at once.",
}


def ms(value):
    return f"{value:,.1f} ms" if value < 10 else f"{value:,.0f} ms" if value < 10_000 else seconds(value / 1000)


def seconds(value):
    return f"{value:,.1f} s"


def count(value):
    return f"{value:,.0f}"


FIGURES = [  # (what, figure, its words)
    ("answered, p50", "answered_p50_ms", ms), ("answered, p99", "answered_p99_ms", ms),
    ("refusals", "refused", count), ("writes without an answer", "unknown", count),
    ("visible, p50", "visible_p50_ms", ms), ("visible, p99", "visible_p99_ms", ms),
    ("visible, the latest", "visible_max_ms", ms), ("over after", "over_after_s", seconds),
    ("drained after the load", "drained_s", seconds), ("lost writes, at least", "lost_least", count), ("lost writes, at most", "lost_most", count),
    ("doubled writes, at least", "doubled_least", count), ("database connections at work, most", "connections", count),
    ("commits per write", "commits", "{:,.3f}".format), ("database CPU per write", "database_us", "{:,.0f} µs".format),
]


def times(a, b):
    """How many times a is of b, in words that do not overstate: below 1.2 it is "about as much"."""
    ratio = max(a, 1e-9) / max(b, 1e-9)
    if 1 / 1.2 < ratio < 1.2:
        return "about the same"
    return f"{ratio:,.1f} times" if ratio < 100 else f"{ratio:,.0f} times"


# ---- what it means ----


def clients(sync, async_):
    said = [f"A client waits {ms(sync['answered_p99_ms'])} (p99) for its answer with the write in the request, and "
            f"{ms(async_['answered_p99_ms'])} with the log."]
    for name, found in (("synchronous", sync), ("asynchronous", async_)):
        parts = [f"refused {found['refused']:,} times"] if found["refused"] else []
        if found["unknown"]:
            parts.append(f"gave {found['unknown']:,} writes no answer that tells whether they are stored")
        if parts:
            said.append(f"The {name} endpoint {' and '.join(parts)}.")
    if not any(f["refused"] or f["unknown"] for f in (sync, async_)):
        said.append("Neither refused a write.")
    return " ".join(said)


def data(sync, async_):
    both = (f"{ms(async_['visible_p50_ms'])} (p50) and {ms(async_['visible_p99_ms'])} (p99) with the log, "
            f"{ms(sync['visible_p50_ms'])} and {ms(sync['visible_p99_ms'])} with the write in the request")
    ratio = async_["visible_p99_ms"] / max(sync["visible_p99_ms"], 1e-9)
    if ratio > 1.2:
        said = f"The price: a write is visible later. From when the client wanted to send it, it takes {both}."
    elif ratio > 1 / 1.2:
        said = f"The data is about as fresh: a write is visible after {both}."
    else:
        said = f"The data is fresher, because in the request a write waits before it is accepted: it is visible after {both}."
    if max(sync["over_after_s"], async_["over_after_s"]) > 0.5:
        said += (f" After the trouble it takes {seconds(async_['over_after_s'])} with the log, and {seconds(sync['over_after_s'])} with the write in the "
                 "request, until no write waits for much longer than before it.")
    return said


def database(sync, async_):
    return (f"The database has {async_['connections']:.0f} connections at work at most instead of {sync['connections']:.0f}, "
            f"{async_['commits']:.3f} commits per write instead of {sync['commits']:.3f}, and spends {async_['database_us']:.0f} µs of CPU per write "
            f"instead of {sync['database_us']:.0f} ({times(sync['database_us'], async_['database_us'])}).")


def losses(sync, async_):
    said = []
    for name, found in (("synchronous", sync), ("asynchronous", async_)):
        if found["lost_least"]:
            said.append(f"The {name} side LOST at least {found['lost_least']:,} writes that it had answered as stored.")
        if found["doubled_least"]:
            said.append(f"The {name} side applied at least {found['doubled_least']:,} writes twice.")
        if found["lost_most"] > found["lost_least"]:
            said.append(f"The {name} side left {found['unknown']:,} writes without an answer, and their clients do not know whether to send them again.")
    if not said:
        said.append("Nothing is lost or doubled on either side: the rows have counted as many writes as were answered as stored.")
    return " ".join(said)


def words(situation, pair):
    sync, async_ = pair["sync"], pair["async"]
    return [clients(sync, async_), f"{data(sync, async_)} {WHY[situation]}", database(sync, async_), losses(sync, async_)]


def intro(about):
    return (f"{about['version']}, {about['date']}. {about['machine']}; PostgreSQL, Kafka, leat and the clients share it. "
            f"The synchronous endpoint does {about['capacity']:,.0f} writes/s "
            f"here with {about['sync']['connections']} connections; the load is {about['rate']:,.0f} writes/s to {about['keys']:,} rows, "
            f"{lengths(about)}. One run each: it tells 3 from 1, not 1.3 from 1.")


def lengths(about):
    stalled = 3 * about["stall"]
    return f"{about['seconds']:.0f} s in each situation" + (f", {stalled:.0f} s where the database stands still" if stalled > about["seconds"] else "")


# ---- as text ----


def rows_of(pair):
    return [(what, form(pair["sync"][figure]), form(pair["async"][figure])) for what, figure, form in FIGURES]


def as_text(about, results):
    out = [intro(about)]
    for situation, pair in results.items():
        out += ["", TITLES[situation].upper(), ABOUT[situation].format(**about), "", f"{'':36} {'sync':>14} {'async':>14}"]
        out += [f"{what:36} {sync:>14} {async_:>14}" for what, sync, async_ in rows_of(pair)]
        out += ["", *words(situation, pair)]
    return "\n".join(out)


# ---- as HTML ----

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>leat compare: the write in the request, and through the log</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }}
h2 {{ margin-top: 3rem; border-top: 1px solid color-mix(in srgb, currentColor 25%, transparent); padding-top: 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .25rem .8rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }}
th:first-child, td:first-child {{ text-align: left; }}
svg {{ max-width: 100%; height: auto; background: white; border-radius: 6px; }}
.wide {{ overflow-x: auto; }}
code {{ font-size: .9em; }}
</style>
</head>
<body>
<h1>The write in the request, and through the log</h1>
<p>The same load goes into PostgreSQL twice. <b>sync</b>: the endpoint writes to the database while the client waits
(<code>mode: sync</code>: a pool with a bounded queue). <b>async</b>: the endpoint answers once the log has the write, and a consumer
applies it. Both are measured from outside, in the same way.</p>
<p>{intro}</p>
{summary}
{situations}
<h2>What the figures are</h2>
<p><b>answered</b>: from when a client wanted to send a write until its answer, so that a client that has to wait counts the waiting.
<b>refusals</b>: answers 5xx, and connections that were refused; what was refused is sent again. <b>visible</b>: from when a client
wanted to send a write until another connection reads it. <b>over after</b>: from the end of the trouble until the last write is read that
waited for more than three times as long as those before it (p99), and more than 250 ms. <b>lost</b>: the rows count their writes; lost
are those that were answered as stored and not counted. A write without an answer may have been counted, so with some of these it is
between two numbers. Commits and CPU time of the database are without those of the measuring. Of its connections it tells nothing
while it stands still: there the line is straight.
Made on {date} with {version} by <code>{command}</code>.</p>
</body>
</html>
"""


def table(head, rows):
    def line(cells, tag):
        return "<tr>" + "".join(f"<{tag}>{escaped(c)}</{tag}>" for c in cells) + "</tr>"
    return '<div class="wide"><table>' + line(head, "th") + "".join(line(r, "td") for r in rows) + "</table></div>"


def summary(results):
    rows = [(TITLES[s], ms(p["sync"]["answered_p99_ms"]), ms(p["async"]["answered_p99_ms"]), f"{p['sync']['refused']:,}", f"{p['async']['refused']:,}",
             ms(p["sync"]["visible_p99_ms"]), ms(p["async"]["visible_p99_ms"]))
            for s, p in results.items()]
    return table(["", "answered p99, sync", "async", "refusals, sync", "async", "visible p99, sync", "async"], rows)


def pictures(pair):
    shaded = {name: found["shaded"] for name, found in pair.items()}
    lines = {name: found["series"] for name, found in pair.items()}
    panels = [("until the answer, p99 of each second", {n: lines[n]["answered"] for n in pair}, shaded["sync"]),
              ("until it is visible, p99 of each second", {n: lines[n]["visible"] for n in pair}, shaded["async"])]
    busy = [("those that do something, twice a second", {n: lines[n]["connections"] for n in pair}, shaded["sync"])]
    return picture("What a write waits for", panels) + picture("Connections of the database", busy, unit="", log=False)


def as_html(about, results):
    situations = []
    for situation, pair in results.items():
        situations.append(f"<h2>{escaped(TITLES[situation])}</h2>\n<p>{escaped(ABOUT[situation].format(**about))}</p>\n"
                          + "".join(f"<p>{escaped(sentence)}</p>\n" for sentence in words(situation, pair))
                          + f'<div class="wide">{pictures(pair)}</div>\n' + table(["", "sync", "async"], rows_of(pair)))
    return PAGE.format(intro=escaped(intro(about)), summary=summary(results), situations="\n".join(situations), date=about["date"], version=escaped(about["version"]),
                       command=escaped(about["command"]))
