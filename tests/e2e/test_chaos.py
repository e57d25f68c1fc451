"""The main promise under everything production does: nothing lost, nothing twice, nothing out of order."""

import json
import os
import signal
import subprocess
import threading
import time
from collections import defaultdict

import psycopg
import pytest

from lib.checks import CHECK_ROUTE, CHECK_TABLE, applied, compare, expected_from_log
from lib.harness import LOAD, script, wait_until

RECORDS = int(os.environ.get("LEAT_CHAOS_RECORDS", 300_000))
KEYS = 20_000
RATE = 3_000  # a second: the load outlasts the faults
LOCKED_TENANTS, LOCKED_ROWS = 5, 2_000  # of each shard
CHUNKS = RECORDS // 300  # at least, in one shard at once


def start_load(world, edge):
    """The project's load generator, in the background: PATCHes that add 1 and append a number no other write has."""
    history = world.directory / "history.jsonl"
    out = open(world.directory / "load.log", "wb")
    return history, subprocess.Popen(
        [LOAD, "--url", world.url(edge), "--profile", "check", "--records", str(RECORDS), "--keys", str(KEYS), "--apps", "50",
         "--dist", "zipf:0.7", "--rate", str(RATE), "--connections", "64", "--seed", "7", "--history", history],
        stdout=out, stderr=out)


class Appliers:
    """Two `leat apply` processes that are killed and replaced."""

    def __init__(self, world):
        self.world = world
        self.live = [world.start("apply"), world.start("apply")]
        self.seen = defaultdict(float)

    def note(self, process):
        """Counters die with their process: they are added up before it is killed."""
        for name, value in self.world.metrics(process).items():
            self.seen[name.partition("{")[0]] += value

    def kill_and_replace(self, index):
        self.note(self.live[index])
        self.live[index].kill()
        self.live[index] = self.world.start("apply")
        self.live[index].wait_for("assigned", timeout=60)

    def total(self, name):
        return self.seen[name] + sum(self.world.metric(p, name) for p in self.live)


class Locks:
    """A foreign session in each shard that holds rows of a few tenants, so that what is written to their subpartitions is parked;
    it takes them again when its server was stopped. `most` chunks were parked at once."""

    def __init__(self, world):
        self.world = world
        self.most = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.hold, args=[shard]) for shard in world.shard_names]
        for thread in self.threads:
            thread.start()

    def hold(self, shard):
        while not self.stopping.is_set():
            try:
                with self.world.db(shard) as db, self.world.db(shard) as other:
                    db.autocommit = False
                    while not self.stopping.wait(1):
                        db.execute("select from checks where app in (select distinct app from checks order by 1 limit %s)"
                                   " order by app, id limit %s for update skip locked", [LOCKED_TENANTS, LOCKED_ROWS])
                        chunks = other.execute("select count(*) from leat.parked").fetchone()[0]
                        self.most = max(self.most, chunks)
            except psycopg.Error:
                time.sleep(0.5)

    def release(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def freeze_past_session(world, appliers, index):
    """SIGSTOP with unread work waiting until the group has given its partitions away, then SIGCONT."""
    frozen = appliers.live[index]
    frozen.signal(signal.SIGSTOP)
    other = appliers.live[1 - index]
    wait_until(lambda: world.metric(other, "leat_partitions_held") == 8, "the other member to hold all 8 partitions", 60)
    before = applied(world)
    wait_until(lambda: applied(world) > before, "the other member to apply", 60)
    lost = frozen.text().count("lost") + frozen.text().count("revoked")
    frozen.signal(signal.SIGCONT)
    wait_until(lambda: frozen.text().count("lost") + frozen.text().count("revoked") > lost, "the woken member to learn it", 60)


@pytest.mark.alone
@pytest.mark.timeout(1200)
def test_nothing_lost_twice_or_out_of_order(make_world):
    """300,000 PATCHes (add and append) over 20,000 keys, 8 partitions, two shards, two appliers; each is killed with -9
    three times, one is frozen past its session and woken, a PostgreSQL is stopped immediately and restarted, the broker
    is restarted. All the while foreign sessions hold rows of a few tenants, and thousands of chunks are parked. Then per key: the
    list equals the log's order, the counter equals the count; everything answered 202 is
    in the log."""
    world = make_world(partitions=8, table_sql=CHECK_TABLE, route=CHECK_ROUTE)
    world.init()
    edge = world.start("edge")
    appliers = Appliers(world)
    history, load = start_load(world, edge)
    locks = None
    try:
        wait_until(lambda: applied(world) > 0, "the first rows")
        locks = Locks(world)
        for turn in range(3):
            appliers.kill_and_replace(0)
            progressed = applied(world)
            wait_until(lambda: applied(world) > progressed, "progress after a kill")
            appliers.kill_and_replace(1)
            if turn == 0:
                script("postgres", "stop", "--immediate", 1)
                wait_until(lambda: world.metric(appliers.live[0], "leat_shard_connections") <= 4, "the shard to be missed")
                script("postgres", "restart", 1)
            if turn == 1:
                freeze_past_session(world, appliers, 0)
            if turn == 2:
                script("kafka", "restart")
        assert load.poll() is None, "the load ended before the faults did: they proved nothing"
        code = load.wait(600)
        wait_until(lambda: locks.most >= CHUNKS, f"{CHUNKS} chunks to be parked, {locks.most} were")
        appliers.kill_and_replace(0)  # and once more, when nothing but parked records is left
    finally:
        load.kill()
        load.wait()
        if locks:
            locks.release()
    assert code == 0, (world.directory / "load.log").read_text()[-3000:]
    expected = expected_from_log(world)
    total = sum(len(numbers) for numbers in expected.values())
    wait_until(lambda: applied(world) >= total, f"{total} records to be applied, {applied(world)} are", 300, 0.5)

    faults = compare(world, expected)
    assert not faults, {kind: (len(found), found[:3]) for kind, found in faults.items()}
    acknowledged = [json.loads(line) for line in history.open()]
    in_log = {number for numbers in expected.values() for number in numbers}
    accepted = {a["seq"] for a in acknowledged if a.get("status") == 202}
    assert len(accepted) > 0.9 * RECORDS and accepted <= in_log
    print(f"records={total} keys={len(expected)} accepted={len(accepted)} chunks={locks.most}",
          *(f"{n}={appliers.total(n):.0f}" for n in ("leat_claims_total", "leat_batches_fenced_total",
                                                     "leat_batches_unknown_total", "leat_records_skipped_total")))
    for process in appliers.live:
        assert process.terminate() == 0
