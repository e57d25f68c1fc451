"""Probes of how long a write takes from its request until it can be read: single PATCHes beside a load, over rows of their own
that another connection polls."""

import http.client
import multiprocessing
import random
import subprocess
import time

import psycopg

from measure import LOAD, seen_ms
from stage import wait_applied

PROBE_APP = "00000000-0000-0000-0000-0000000000aa"
PROBE_ROWS = [f"00000000-0000-0000-0000-{n:012x}" for n in range(16)]
PROBES_S = 100
POLL_S = 0.001


def add_rows(world):
    with world.db("a") as db:
        for row in PROBE_ROWS:
            db.execute("insert into subscriptions (app_id, subscription_id) values (%s, %s)", [PROBE_APP, row])


def load_beside(world, process, options, *arguments):
    return subprocess.Popen([LOAD, "--url", world.url(process), "--connections", "64", "--keys", str(options.keys), "--apps", "1000",
                             "--quiet", *map(str, arguments)])


def poll(dsn, stop, seen):
    """Reports for each probe row when each new count was first read."""
    counts = {}
    with psycopg.connect(dsn, autocommit=True) as db:
        while not stop.is_set():
            rows = db.execute("select subscription_id::text, session_count from subscriptions where app_id = %s", [PROBE_APP],
                              prepare=True).fetchall()
            now = time.monotonic()
            changed = [(row, count, now) for row, count in rows if counts.get(row) != count]
            counts.update(rows)
            for change in changed:
                seen.put(change)
            time.sleep(POLL_S)
    seen.put(None)


class Prober:
    """Sends probes; each row counts its own, so that the nth write of a row is in the table when its count is n."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"))
        self.sent = {row: [] for row in PROBE_ROWS}
        self.accept_ms = []

    def send(self):
        row = random.choice(PROBE_ROWS)
        started = time.monotonic()
        self.connection.request("PATCH", f"/apps/{PROBE_APP}/subscriptions/{row}", '{"session_count": 1}',
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        answer.read()
        assert answer.status == 202, answer.status
        self.accept_ms.append((time.monotonic() - started) * 1000)
        self.sent[row].append(started)

    def run(self, seconds):
        end = time.monotonic() + seconds
        at = time.monotonic()
        while at < end:
            at += random.expovariate(PROBES_S)
            time.sleep(max(0, at - time.monotonic()))
            self.send()


def probe(world, process, seconds):
    with world.db("a") as db:
        db.execute("update subscriptions set session_count = 0 where app_id = %s", [PROBE_APP])
    stop, seen = multiprocessing.Event(), multiprocessing.Queue()
    poller = multiprocessing.Process(target=poll, args=(world.dsns["a"], stop, seen), daemon=True)
    poller.start()
    try:
        prober = Prober(world.url(process))
        prober.run(seconds)
        wait_applied(world, process)
        time.sleep(0.1)  # the poller reads the last ones
    finally:
        stop.set()
    changes = list(iter(seen.get, None))
    poller.join()
    return [ms for ms, _ in seen_ms(prober.sent, changes)], prober.accept_ms
