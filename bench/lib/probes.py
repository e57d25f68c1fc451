"""Probes: single writes to rows that nothing else writes, and when another connection reads each. Their lag is what others feel."""

import http.client
import multiprocessing
import random
import threading
import time

import psycopg

from measure import cpu_us, quantile, seen_ms

PROBES_S, PROBE_ROWS, POLL_S = 50, 64, 0.005
BESIDE_S = 10  # probes a second of the second series
RETRY_S = 0.25
POLL_LATE_MS, SEND_LATE_MS = 25, 250  # p99 of the poller's pauses, of how late the prober is: more, and it is the limit


def poll(dsn, apps, stop, seen):
    """Reports for each probe row, as (app, row), when each new count was first read, and at the end the pauses between polls and the
    CPU time that they took in the server."""
    counts, pauses, last = {}, [], None
    with psycopg.connect(dsn, autocommit=True) as db:
        while not stop.is_set():
            rows = db.execute("select app, id, n from items where app = any(%s)", [apps], prepare=True).fetchall()
            now = time.monotonic()
            pauses.append((now - last) * 1000 if last else 0)
            last = now
            for app, row, count in rows:
                if counts.get((app, row)) != count:
                    counts[app, row] = count
                    seen.put(((app, row), count, now))
            time.sleep(POLL_S)
        server_us = cpu_us(db.info.backend_pid)
    seen.put({"pauses": pauses, "server_us": server_us})


class Prober:
    """Sends probes; each row counts its own, so that the nth write of a row is in the table when its count is n. A 503 is sent again,
    as clients do. A row with a write that got no answer gets no more: its count may be one more."""

    def __init__(self, address, app, rows, rate=PROBES_S):
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"))
        self.app, self.rows, self.rate = app, list(rows), rate
        self.accepted = {row: [] for row in rows}
        self.wanted = {row: [] for row in rows}  # when the accepted ones should have been sent
        self.answered = []                       # (when it should have been sent, ms from then until the answer)
        self.late_ms, self.refused, self.unknown = [], 0, 0
        self.given_up = False  # what is refused is not sent again

    def status(self, row):
        """None: no answer came. 503: it was refused, also where nobody listened."""
        try:
            self.connection.request("PATCH", f"/apps/{self.app}/items/{row}", '{"n":1}', {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        except ConnectionRefusedError:  # nothing was sent
            self.connection.close()
            return 503
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return None

    def send(self, wanted):
        row = random.choice(self.rows)
        while (status := self.status(row)) == 503 and not self.given_up:
            self.refused += 1
            time.sleep(RETRY_S)
        now = time.monotonic()
        if status in (200, 202):
            self.accepted[row].append(now)
            self.wanted[row].append(wanted)
        elif status is None or status == 504:
            self.unknown += 1
            if len(self.rows) > 1:
                self.rows.remove(row)
        else:
            self.refused += 1
        self.answered.append((wanted, (now - wanted) * 1000))

    def run(self, stop):
        at = time.monotonic()
        while not stop.is_set():
            at += random.expovariate(self.rate)
            time.sleep(max(0, at - time.monotonic()))
            self.late_ms.append((time.monotonic() - at) * 1000)
            self.send(at)


class Probing:
    """A prober in a thread and a poller in a process of its own, from `with` to its end. Afterwards `lags` has for each probe
    (when it was accepted, ms until it was read, when that was), `visible` (when it should have been sent, ms from then until it
    was read), and `limits` what was not leat's doing. With `beside`, (app, rows), a second prober writes to these rows, fewer times
    a second: `beside_lags`."""

    def __init__(self, address, dsn, app, rows, all_applied, beside=None):
        self.prober = Prober(address, app, rows)
        self.beside = Prober(address, *beside, BESIDE_S) if beside else None
        self.probers = [prober for prober in (self.prober, self.beside) if prober]
        self.all_applied = all_applied  # waits until nothing is left to apply
        self.stop, self.seen = multiprocessing.Event(), multiprocessing.Queue()
        self.poller = multiprocessing.Process(target=poll, args=(dsn, [prober.app for prober in self.probers], self.stop, self.seen))
        self.sent = threading.Event()
        self.threads = [threading.Thread(target=prober.run, args=(self.sent,)) for prober in self.probers]
        self.lags, self.beside_lags, self.visible, self.limits = [], [], [], {}
        self.polls, self.poll_server_us = 0, 0  # what the poller cost the server

    def __enter__(self):
        self.poller.start()
        for thread in self.threads:
            thread.start()
        return self

    def silence(self):
        """No more probes."""
        self.sent.set()
        self.threads[0].join(timeout=30)
        for prober, thread in zip(self.probers, self.threads):
            prober.given_up = True
            thread.join()

    def __exit__(self, failed, *_):
        self.silence()
        if not failed:
            self.all_applied()
            time.sleep(4 * POLL_S)  # the poller reads the last ones
        self.stop.set()
        changes = []
        while not isinstance(got := self.seen.get(timeout=60), dict):
            changes.append(got)
        self.poller.join()
        self.polls, self.poll_server_us = len(got["pauses"]), got["server_us"]
        if failed:
            return
        self.lags = lags_of(self.prober, changes)
        self.beside_lags = lags_of(self.beside, changes) if self.beside else []
        self.visible = [(at - ms / 1000, ms) for ms, at in seen_ms(self.prober.wanted, changes_of(self.prober, changes))]
        if quantile(got["pauses"], 0.99) > POLL_LATE_MS:
            self.limits["the poller: {} ms between its reads (p99)"] = quantile(got["pauses"], 0.99)
        if quantile(self.prober.late_ms, 0.99) > SEND_LATE_MS:
            self.limits["the prober: {} ms late (p99)"] = quantile(self.prober.late_ms, 0.99)
        if refused := sum(prober.refused for prober in self.probers):
            self.limits["the edge: {} probes refused"] = refused


def changes_of(prober, changes):
    """(row, count, when it was first read) of its rows."""
    return [(row, count, at) for (app, row), count, at in changes if app == prober.app]


def lags_of(prober, changes):
    return [(at - ms / 1000, max(0, ms), at) for ms, at in seen_ms(prober.accepted, changes_of(prober, changes))]


def over_time(lags, begin, bucket=1.0):
    """{"p50": [(second, ms)], "p99": ...} of the probes that were accepted in each second."""
    buckets = {}
    for accepted, ms, _ in lags:
        buckets.setdefault(int((accepted - begin) // bucket), []).append(ms)
    return {name: [((b + 0.5) * bucket, quantile(values, share)) for b, values in sorted(buckets.items()) if b >= 0]
            for name, share in (("p50", 0.5), ("p99", 0.99))}
