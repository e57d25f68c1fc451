"""leat without a server: the built-in log and SQLite files, one process. Tests that apply to servers too run on both in the
other files; here is what only this mode has, and that it survives power cuts."""

import itertools
import random
import re
import shutil
import sqlite3
import threading
import time

import httpx
import pytest

from lib.checks import CHECK_ROUTE, CHECK_TABLE, applied, compare, expected_from_log
from lib.harness import LEAT, POWERCUT, wait_until

CHECKS = {"log": "local", "store": "sqlite", "table_sql": CHECK_TABLE, "route": CHECK_ROUTE}


def patch(http, app, ident, number):
    answer = http.patch(f"/apps/{app}/checks/{ident}", json={"n": 1, "list": number})
    assert answer.status_code == 202, answer.text
    return answer.json()


def remove(path):
    """A SQLite file with the files beside it."""
    for name in path.parent.glob(path.name + "*"):
        name.unlink()


# ---- one process, two files ----


def test_run_needs_nothing_made_before(make_world):
    """A table and a configuration are enough: no `leat init`, no server; the second start finds what the first made."""
    world = make_world(**CHECKS)
    for number in range(2):
        leat = world.start("run")
        with world.client(leat) as http:
            answer = patch(http, 1, 1, number)
            assert (answer["topic"], answer["offset"]) == (world.name, number)
        wait_until(lambda: applied(world) == number + 1, "the write")
        assert leat.terminate() == 0
        assert not list(world.directory.glob("*-wal")), "each file is whole by itself after a drain"
    assert world.rows("select n, list from checks") == [(2, [0, 1])]


def test_a_second_process_is_refused(make_world):
    """The log has one process, which is told by its id; a part of leat alone cannot have it either. Who was refused has
    harmed nothing, and after a kill -9 the next one gets it."""
    world = make_world(**CHECKS)
    leat = world.start("run")
    done = world.leat("run")
    assert done.returncode == 1 and f"in use by another process (pid {leat.pid})" in done.stderr, done.stderr
    for command in ("edge", "apply"):
        done = world.leat(command)
        assert done.returncode == 2 and "log.local" in done.stderr and "leat run" in done.stderr, done.stderr
    with world.client(leat) as http:
        patch(http, 1, 1, 0)
    wait_until(lambda: applied(world) == 1, "the write")
    leat.kill()
    with world.client(world.start("run")) as http:
        patch(http, 1, 1, 1)
    wait_until(lambda: applied(world) == 2, "the write of the next one")


def test_a_log_made_anew_is_refused(make_world):
    """Its offsets begin again, below what the shard has: new writes would count as applied. It is logged, with the remedy."""
    world = make_world(**CHECKS)
    leat = world.start("run")
    with world.client(leat) as http:
        patch(http, 1, 1, 0)
    wait_until(lambda: applied(world) == 1, "the write")
    assert leat.terminate() == 0
    remove(world.log.path)
    done = world.leat("run")
    assert done.returncode == 1 and "topic id" in done.stderr, done.stderr
    assert applied(world) == 1


def test_an_older_copy_of_the_log_stops_the_partition(make_world):
    """It would give out offsets again that the shard has applied: the partition stops, and that is logged."""
    world = make_world(shards=1, partitions=1, **CHECKS)
    for number in range(2):
        leat = world.start("run")
        with world.client(leat) as http:
            patch(http, 1, 1, number)
        wait_until(lambda: applied(world) == number + 1, "the write")
        assert leat.terminate() == 0
        if number == 0:
            shutil.copy(world.log.path, world.directory / "older")
    remove(world.log.path)
    shutil.copy(world.directory / "older", world.log.path)
    leat = world.start("run")
    leat.wait_for("partition stopped")
    wait_until(lambda: world.metric(leat, "leat_partitions_stopped") == 1, "the metric")
    assert world.rows("select list from checks") == [([0, 1],)]


def test_a_shard_restored_from_an_older_copy_is_replayed(make_world):
    """A copy made while leat runs, restored later: the records it lacks are applied from the log again, once."""
    world = make_world(**CHECKS)
    leat = world.start("run")
    with world.client(leat) as http:
        for number in range(300):
            patch(http, number % 10, 1, number)
            if number == 150:
                for shard, path in world.store.paths.items():
                    with world.db(shard) as db, sqlite3.connect(world.directory / f"{shard}.copy") as copy:
                        db.backup(copy)
                    copy.close()
    wait_until(lambda: applied(world) == 300, "all writes")
    assert leat.terminate() == 0
    for shard, path in world.store.paths.items():
        remove(path)
        (world.directory / f"{shard}.copy").rename(path)
    assert 0 < applied(world) < 300
    world.start("run")
    wait_until(lambda: applied(world) == 300, "what the copies lack")
    assert not compare(world, expected_from_log(world))


def test_another_program_that_writes_to_the_file_is_waited_for(make_world):
    """It holds the file's lock: writes accepted meanwhile are applied once the lock is free."""
    world = make_world(shards=1, apply={"lock_timeout": "200ms"}, **CHECKS)
    leat = world.start("run")
    with world.client(leat) as http:
        patch(http, 1, 1, 0)
        wait_until(lambda: applied(world) == 1, "the row")
        with world.db("a") as other:
            other.execute("begin immediate")
            other.execute("update checks set n = n + 100")
            for number in range(1, 20):
                patch(http, number % 3, 1, number)
            wait_until(lambda: world.metric(leat, "leat_batches_failed_total") >= 2, "attempts in vain")
            other.execute("commit")
    wait_until(lambda: applied(world) == 120, "the writes on top")
    assert world.rows("select 1 from leat.dead_letters") == []


# ---- kill -9 and power cuts ----

THREADS, KEYS, ROUNDS = 6, 60, 12


class Writers:
    """Threads that write until leat has ended. A key has one writer, which waits for each answer, so its numbers ascend."""

    def __init__(self):
        self.sent = [itertools.count(thread, THREADS) for thread in range(THREADS)]
        self.acknowledged = {}  # number: (partition, offset)
        self.ascending = True

    def run(self, url):
        threads = [threading.Thread(target=self.write, args=(url, numbers), daemon=True) for numbers in self.sent]
        for thread in threads:
            thread.start()
        return threads

    def write(self, url, numbers):
        with httpx.Client(base_url=url, timeout=30) as http:
            for number in numbers:
                ident = number % KEYS
                try:
                    answer = http.patch(f"/apps/{ident % 7}/checks/{ident}", json={"n": 1, "list": number})
                except httpx.HTTPError:
                    return
                if answer.status_code == 202:
                    at = answer.json()
                    self.acknowledged[number] = (at["partition"], at["offset"])


def cut(world, writers, seed, program, env):
    """One life of leat, ended at a random moment under load."""
    chance = random.Random(seed)
    leat = world.start("run", program=program, env={"LEAT_POWERCUT_SEED": str(seed), **env})
    threads = writers.run(world.url(leat))
    goal = len(writers.acknowledged) + chance.randrange(20, 200)
    wait_until(lambda: len(writers.acknowledged) >= goal, f"{goal} acknowledged writes", every=0.001)
    time.sleep(chance.random() / 50)  # where in a commit, a batch or a checkpoint it happens
    leat.kill()
    for thread in threads:
        thread.join(60)


def live_through_cuts(world, program, rounds, env=None):
    """Several lives of leat one after the other; returns the writers."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seeds {seed} to {seed + rounds - 1}")
    writers = Writers()
    for number in range(rounds):
        cut(world, writers, seed + number, program, env or {})
    return writers


def faults_of(world, writers):
    """The faults once leat has started again, by kind; none if all promises were kept."""
    world.start("run")
    expected = expected_from_log(world)
    total = sum(len(numbers) for numbers in expected.values())
    wait_until(lambda: applied(world) >= total, f"{total} records to be applied, {applied(world)} are", 60)
    faults = compare(world, expected)
    in_log = {number for numbers in expected.values() for number in numbers}
    faults["acknowledged and lost"] = sorted(set(writers.acknowledged) - in_log)
    faults["out of the writers' order"] = [numbers for numbers in expected.values() if numbers != sorted(set(numbers))]
    print(f"acknowledged {len(writers.acknowledged)}, in the log {total}")
    return {kind: found for kind, found in faults.items() if found}


@pytest.mark.parametrize("program", [LEAT, POWERCUT], ids=["kill -9", "power cut"])
def test_nothing_acknowledged_is_lost_and_nothing_is_applied_twice(make_world, program):
    """leat dies at random moments under load, with all that was not synced when it is a power cut, and starts again. Then
    every write that got a 202 is in its row once, no other more than once, in order; counters are right."""
    world = make_world(**CHECKS)
    writers = live_through_cuts(world, program, ROUNDS)
    assert len(writers.acknowledged) >= 20 * ROUNDS
    assert faults_of(world, writers) == {}


def test_a_disk_that_lies_about_syncs_is_noticed(make_world):
    """The negative control: where syncs do nothing, the same check finds a loss, or leat no longer starts."""
    for _ in range(5):
        world = make_world(**CHECKS)
        writers = live_through_cuts(world, POWERCUT, 1, {"LEAT_POWERCUT_LIE": "1"})
        try:
            if faults_of(world, writers):
                return
        except (AssertionError, sqlite3.Error) as error:
            print(re.sub(r"\s+", " ", str(error))[:500])
            return
    raise AssertionError("acknowledged writes were kept by a disk that keeps nothing")
