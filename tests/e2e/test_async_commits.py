"""`commit: async`: commits that do not wait for the disk are lost by crashes of the database, and nothing else is. The databases
here write their log out so seldom that what was committed is not on the disk unless somebody has waited for it."""

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from lib.checks import CHECK_ROUTE, CHECK_TABLE, applied, compare, expected_from_log
from lib.harness import LOAD, script, wait_until
from test_pgbouncer import Pooler

pytestmark = pytest.mark.alone

KEYS, RATE = 2_000, 3_000  # a second, until the crashes are over
LAZY = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}


def session(world, shard="a"):
    """On the server of the shard; it connects where leat's own connections do not go through."""
    return psycopg.connect(world.env["PG_DSN_1"], autocommit=True)


@contextmanager
def lazy_disk(world):
    """Cluster 1 writes its log out only when a commit waits for it, and in between after 10 s at the earliest."""
    with session(world) as db:
        for name, value in LAZY.items():
            db.execute(f"alter system set {name} = '{value}'")
        db.execute("select pg_reload_conf()")
    try:
        yield
    finally:
        script("postgres", "up", 2)
        with session(world) as db:
            for name in LAZY:
                db.execute(f"alter system reset {name}")
            db.execute("select pg_reload_conf()")


@pytest.fixture
def async_world(make_world):
    with_settings = {"partitions": 4, "table_sql": CHECK_TABLE, "route": CHECK_ROUTE, "shards": 1}

    def make(dsn=None, **settings):
        world = make_world(**{**with_settings, **settings})
        world.settings["shards"][0].update(commit="async", **({"dsn": dsn(world)} if dsn else {}))
        world.write_config()
        world.init()
        return world

    return make


def postmaster(world):
    with session(world) as db:
        return int(Path(f"/proc/{db.info.backend_pid}/stat").read_text().rpartition(")")[2].split()[1])


def pooled(world):
    """The DSN of its shard, through PgBouncer."""
    pooler = Pooler(world.env["PG_DSN_1"], "--mode", "transaction")
    return pooler.dsn.replace("dbname=leat", f"dbname={world.name}")


def is_up(world):
    try:
        session(world).close()
        return True
    except psycopg.OperationalError:
        return False


def has_ended(db):
    try:
        db.execute("select 1")
        return False
    except psycopg.OperationalError:
        return True


def kill_backend(world):
    """A session of somebody: the server ends all others, and recovers under the same postmaster."""
    before = postmaster(world)
    victim, witness = session(world), session(world)
    os.kill(victim.info.backend_pid, signal.SIGKILL)
    wait_until(lambda: has_ended(witness), "the server to end the others")
    wait_until(lambda: is_up(world), "the server to recover")
    assert postmaster(world) == before


def kill_postmaster(world):
    """The server ends with all that it had not written, and is started again."""
    pid = postmaster(world)
    data = os.readlink(f"/proc/{pid}/cwd")
    os.kill(pid, signal.SIGKILL)

    def is_gone():
        links = [entry / "cwd" for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        for link in links:
            try:
                if os.readlink(link) == data:
                    return False
            except OSError:
                continue
        return True

    wait_until(is_gone, "the backends to follow their postmaster")
    script("postgres", "up", 2)


def stop_immediately(world):
    script("postgres", "stop", "--immediate", 1)
    script("postgres", "up", 2)


def start_load(world, edge):
    out = open(world.directory / "load.log", "wb")
    return subprocess.Popen([LOAD, "--url", world.url(edge), "--profile", "check", "--seconds", "600", "--keys", str(KEYS),
                             "--apps", "50", "--rate", str(RATE), "--connections", "64", "--seed", "7"], stdout=out, stderr=out)


def run_with_crashes(world, crashes):
    """Under load; then each row has what the log has, once. That such a crash takes commits back is shown by
    test_a_lost_row_comes_back_at_once; how many it takes here, and how many answers are lost, is chance."""
    edge, worker = world.start("edge"), world.start("apply")
    load = start_load(world, edge)
    try:
        for crash in crashes:
            before = world.metric(worker, "leat_records_applied_total")
            wait_until(lambda: world.metric(worker, "leat_records_applied_total") > before + RATE, "some to be applied")
            crash(world)
        assert load.poll() is None, (world.directory / "load.log").read_text()[-3000:]
    finally:
        load.kill()
        load.wait()
    assert edge.terminate() == 0  # and what it had in hand is in the log
    expected = expected_from_log(world)
    total = sum(len(numbers) for numbers in expected.values())
    wait_until(lambda: applied(world) >= total, f"{total} records to be applied", 120, 0.5)
    faults = compare(world, expected)
    assert not faults, {kind: (len(found), found[:3]) for kind, found in faults.items()}
    assert worker.terminate() == 0


@pytest.mark.timeout(600)
def test_crashes_lose_and_double_nothing(async_world):
    """kill -9 of a session, of the postmaster, and an immediate stop, each twice. The counters are right, whatever
    the database has lost of what it had acknowledged."""
    world = async_world()
    with lazy_disk(world):
        run_with_crashes(world, [kill_backend, kill_postmaster, stop_immediately] * 2)


@pytest.mark.timeout(600)
def test_crashes_behind_a_pooler(async_world):
    """The same through PgBouncer, which keeps leat's connections; and no session of it that other programs get has leat's
    setting."""
    def look_beside(world):
        dsn = world.settings["shards"][0]["dsn"]
        found = set()
        for _ in range(100):
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as db:
                found.add(db.execute("show synchronous_commit").fetchone()[0])
        assert found == {"on"}

    try:
        world = async_world(dsn=pooled)
        with lazy_disk(world):
            run_with_crashes(world, [look_beside, kill_backend, kill_backend, kill_postmaster])
    finally:
        script("pgbouncer", "down")


def count(world):
    return sum(n for n, in world.rows("select n from checks where app = 1"))


@pytest.mark.parametrize("shape", ["one process", "two processes"])
def test_who_waits_hears_of_what_stays(async_world, shape):
    """A write that was said to be applied is in its table after a crash, though nobody applies it again; one that nobody
    waited for was in the table, and is not."""
    world = async_world(partitions=1, apply={"compact_every": "1h"})
    with lazy_disk(world):
        edge = world.start("run") if shape == "one process" else world.start("edge")
        worker = edge if shape == "one process" else world.start("apply")
        with world.client(edge) as http:
            worker.wait_for("assigned")
            for number in range(3):
                answer = http.patch("/apps/1/checks/1", json={"n": 1, "list": number}, headers={"prefer": "wait=20"})
                assert (answer.status_code, answer.json()["state"]) == (200, "applied")
            assert http.patch("/apps/1/checks/1", json={"n": 1, "list": 3}).status_code == 202
        wait_until(lambda: count(world) == 4, "the write that nobody waits for")
        for process in {edge, worker}:
            process.kill()
        kill_backend(world)
        assert world.rows("select n, list from checks") == [(3, [0, 1, 2])]
        worker = world.start("apply")
        wait_until(lambda: count(world) == 4, "the write to be applied again")
        assert world.rows("select n, list from checks") == [(4, [0, 1, 2, 3])]
        assert worker.terminate() == 0


def test_who_repeats_a_write_hears_of_what_stays(async_world):
    """A request was accepted for the log and is sent again into the database: it is told that it is applied, and so it is after a
    crash, though nobody applies it again."""
    world = async_world(partitions=1, apply={"compact_every": "1h"})
    request = {"json": {"n": 1, "list": 0}, "headers": {"idempotency-key": "once"}}
    with lazy_disk(world):
        process = world.start("run")
        with world.client(process) as http:
            process.wait_for("assigned")
            assert http.patch("/apps/1/checks/1", **request).status_code == 202
        wait_until(lambda: count(world) == 1, "the write to be applied")
        process.kill()
        world.settings["routes"][0]["mode"] = "sync"
        world.write_config()
        edge = world.start("edge")
        with world.client(edge) as http:
            wait_until(lambda: http.patch("/apps/1/checks/1", **request).status_code == 200, "the edge to have a connection")
        edge.kill()
        kill_backend(world)
        assert world.rows("select n, list from checks") == [(1, [0])]


def lose_a_row(world):
    """And get it back."""
    with lazy_disk(world):
        leat = world.start("run")
        with world.client(leat) as http:
            leat.wait_for("assigned")
            assert http.patch("/apps/1/checks/1", json={"n": 1, "list": 0}).status_code == 202
        wait_until(lambda: count(world) == 1, "the write")
        kill_backend(world)
        wait_until(lambda: world.metric(leat, "leat_records_applied_total") == 2, "the write to be applied again", 30)
        assert world.rows("select n, list from checks") == [(1, [0])]
        assert leat.terminate() == 0


def test_a_lost_row_comes_back_at_once(async_world):
    """In a partition where nothing else happens, too: a crash is noticed by the connections that it ends, long before anything
    is due."""
    lose_a_row(async_world(partitions=1, apply={"compact_every": "1h"}))


def test_a_lost_row_comes_back_behind_a_pooler(async_world):
    """The same through PgBouncer, which keeps leat's connections: the partition is looked at regularly. The wait is over before it would
    be verified as any other, a minute after its claim."""
    try:
        lose_a_row(async_world(dsn=pooled, partitions=1, apply={"compact_every": "1h"}))
    finally:
        script("pgbouncer", "down")


def test_the_log_is_told_of_what_stays(async_world):
    """Kafka's committed offset passes a record once its batch is on the disk, and no sooner: not while a later one was read, applied
    and seen in the table."""
    world = async_world(partitions=1, apply={"compact_every": "1h", "commit_every": "10ms"})
    leat = world.start("run")
    with world.client(leat) as http:
        leat.wait_for("assigned")
        for number in range(5):
            assert http.patch("/apps/1/checks/1", json={"n": 1, "list": number}).status_code == 202
            wait_until(lambda: count(world) == number + 1, "the write")
            assert max(world.committed().values(), default=0) <= 0
    assert "0 dead letters, commit: async" in world.leat("status").stdout
    assert [s["commit"] for s in json.loads(world.leat("status", "--json").stdout)["shards"]] == ["async"]
    assert leat.terminate() == 0
    assert max(world.committed().values()) == 5


def test_a_file_cannot_be_committed_so(make_world):
    """SQLite has no such commit: the setting is refused with the file and the line."""
    world = make_world(log="local", store="sqlite", table_sql=CHECK_TABLE, route=CHECK_ROUTE, shards=1)
    world.settings["shards"][0]["commit"] = "async"
    world.write_config()
    done = world.leat("check")
    line = next(n for n, text in enumerate(world.config_path.read_text().splitlines(), 1) if "commit: async" in text)
    assert done.returncode == 2 and f"leat.yaml:{line}: shards[0].commit: async needs PostgreSQL" in done.stderr, done.stderr
