"""Everything that stands still is reported: `leat status` is 3 and names it, from outside; when it moves again, 0."""

import json
import os
import re
import signal

import httpx
import pytest

from lib.harness import wait_until
from lib.standby import standby_is_gone

TABLE = """
    create table parents (id int primary key);
    create table things (id int primary key, n int, parent int references parents)
"""
ROUTE = {"path": "/things/{id}", "table": "things"}
ONE = {"shards": 1, "partitions": 2, "table_sql": TABLE, "route": ROUTE}


def status(world):
    """(exit code, troubles of shard a) of `leat status --json`; the text agrees."""
    done = world.leat("status", "--json")
    found = json.loads(done.stdout)
    assert found["well"] == (done.returncode == 0), done
    return done.returncode, found["shards"][0]["troubles"]


def wait_for_trouble(world, *, kind, **members):
    """Until status is 3 with such a trouble; returns it, and the text has its words."""
    def look():
        code, troubles = status(world)
        fitting = [t for t in troubles if t["kind"] == kind and all(t.get(k) == v for k, v in members.items())]
        assert code == (3 if troubles else 0)
        return fitting and fitting[0]

    trouble = wait_until(look, f"a trouble of kind {kind}", every=0.3)
    text = world.leat("status")
    assert text.returncode == 3 and "UNWELL" in text.stdout and text.stdout.endswith("\nnot all is well\n")
    return trouble


def wait_until_well(world):
    wait_until(lambda: status(world) == (0, []), "all to be well", every=0.3)
    assert world.leat("status").stdout.endswith("\nall is well\n")


@pytest.fixture
def one(make_world, request):
    world = make_world(**{**ONE, **getattr(request, "param", {})})
    world.init()
    return world


def put(http, number, **values):
    assert http.put(f"/things/{number}", json={**{"n": number}, **values}).status_code == 202


@pytest.mark.parametrize("one", [{"apply": {"records": 64, "batch_records": 64}}], indirect=True)
def test_a_locked_row(one):
    """The record and the session that has its row are named; then later records fill the memory, which is named too."""
    leat = one.start("run")
    with one.client(leat) as http, one.db("a") as foreign:
        put(http, 1)
        wait_until(lambda: one.rows("select 1 from things"), "the row")
        foreign.execute("set application_name = 'the culprit'")
        with foreign.transaction():
            foreign.execute("select from things where id = 1 for update")
            pid = foreign.info.backend_pid
            for n in range(2, 102):
                put(http, 1, n=n)
            lock = wait_for_trouble(one, kind="lock")
            assert f"session pid={pid} application_name=\"the culprit\"" in lock["words"] and "things" in lock["words"]
            leat.wait_for(f"session pid={pid} ")
            stalled = wait_for_trouble(one, kind="stalled", outcome="contention", table="things", key="1")
            assert stalled["sqlstate"] == "55P03" and stalled["offset"] >= 0 and stalled["seconds"] >= 1
            assert one.metric(leat, "leat_subpartitions_stalled") == 1 == one.metric(leat, "leat_partitions_paused")
            assert one.metric(leat, "leat_stalled_seconds") >= 1
            assert one.metrics(leat)['leat_shard_errors_total{worker="0",shard="a",class="55"}'] >= 1
            culprits = httpx.get(f"http://{leat.address('admin listens')}/culprits", timeout=10).json()
            holder, = (p for p in culprits["partitions"] if p["offset"] == stalled["offset"])
            assert (holder["shard"], holder["key"], holder["tenant"], holder["sqlstate"]) == ("a", "1", None, "55P03")
            assert holder["partition"] == stalled["partition"] and holder["attempts"] >= 1
            assert holder["age_s"] >= 1 and holder["reason"].startswith("contention: ") and culprits["keys"][0]["key"] == "1"
            wait_until(lambda: re.search(rf"held by offset {stalled['offset']} of partition \d for \d+ s, key 1: contention",
                                         one.leat("status").stdout), "the culprit in the status", every=0.5)
            assert f"    held by offset {stalled['offset']} of partition {stalled['partition']} for " in one.leat("lag").stdout
            memory = {name: one.metrics(leat)[f'{name}{{worker="0",budget="records"}}'] for name in ("leat_memory_records", "leat_memory_limit_records")}
            assert 0 < memory["leat_memory_records"] <= memory["leat_memory_limit_records"] == 64
            full = wait_for_trouble(one, kind="full", partition=stalled["partition"])
            assert full["count"] == 1 and "memory is full" in full["words"]
        wait_until_well(one)
        assert not any(name.startswith("leat_stalled_seconds") for name in one.metrics(leat))
        assert one.rows("select n from things") == [(101,)]


TROUBLES = {
    "a missing parent": (
        "select", "insert into parents values (7)", {"parent": 7},
        {"kind": "stalled", "outcome": "bad data for now", "sqlstate": "23503"}),
    "a drifted table": (
        "create function no() returns trigger language plpgsql as $$ begin perform from gone; return new; end $$;"
        " create trigger no before insert on things for each row execute function no()", "create table gone()", {},
        {"kind": "stalled", "outcome": "drift", "sqlstate": "42P01"}),
    "a halted shard": (
        "create function no() returns trigger language plpgsql as $$ begin raise exception 'corrupt' using errcode = 'XX001';"
        " end $$; create trigger no before insert on things execute function no()", "drop trigger no on things", {},
        {"kind": "halted", "outcome": "not understood", "sqlstate": "XX001"}),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_record_that_waits(one, name):
    """It is named with its place, table, key and SQLSTATE; the log has one line for all that wait for the same."""
    provoke, mend, values, told = TROUBLES[name]
    leat = one.start("run")
    with one.client(leat) as http:
        with one.db("a") as db:
            db.execute(provoke)
        for number in range(1, 21):
            put(http, number, **values)
        trouble = wait_for_trouble(one, table="things", **told)
        assert trouble["key"] in map(str, range(1, 21)) and trouble["offset"] >= 0 and trouble["process"].endswith(f" {leat.pid}")
        if told["kind"] == "stalled":
            leat.wait_for("stalled by " + told["outcome"])
            assert leat.text().count("stalled by " + told["outcome"]) == 1
        with one.db("a") as db:
            db.execute(mend)
        wait_until_well(one)
    assert one.rows("select count(*) from things") == [(20,)]


def test_a_process_that_is_gone_or_stands_still(one):
    """Killed, or stopped with its sessions open: nobody applies, and the process that reported last is named."""
    edge, apply = one.start("edge"), one.start("apply")
    apply.wait_for("assigned", count=2)
    wait_until(lambda: one.rows("select 1 from leat.workers"), "its first word")
    with one.client(edge) as http:
        apply.kill()
        words = wait_for_trouble(one, kind="nobody")["words"]
        assert words.startswith("no process works here") and f" {apply.pid} was heard last" in words
        put(http, 1)
        wait_until(lambda: [t["words"] for t in status(one)[1] if t["words"].startswith("records wait and nobody applies them")], "the record")
        other = one.start("apply")
        wait_until_well(one)
        other.signal(signal.SIGSTOP)
        put(http, 2)
        assert f" {other.pid} was heard last" in wait_for_trouble(one, kind="nobody")["words"]
        other.signal(signal.SIGCONT)
        wait_until_well(one)
        with one.db("a") as db:  # what the first one has left goes with this one, as it is as old
            db.execute(f"update leat.workers set at = at - interval '1 min' where pid = {apply.pid}")
        assert other.terminate() == 0
        assert one.rows(f"select count(*) from leat.workers where pid in ({other.pid}, {apply.pid})") == [(0,)]


def test_a_process_without_a_word(one):
    """A crash of the server empties leat.workers: no process with sessions there is reported as missing."""
    leat = one.start("run")
    with one.client(leat) as http, one.db("a") as db:
        put(http, 1, parent=7)
        wait_for_trouble(one, kind="stalled")
        db.execute("create function mute() returns trigger language plpgsql as $$ begin return null; end $$;"
                   " create trigger mute before insert on leat.workers for each row execute function mute();"
                   " delete from leat.workers")
        words = wait_for_trouble(one, kind="unowned")["words"]
        assert f" {leat.pid} has reported nothing" in words and "no process has" not in words
        db.execute("drop trigger mute on leat.workers; insert into parents values (7)")
        wait_until_well(one)


@pytest.mark.alone
def test_a_standby_that_is_gone(one):
    """A commit waits for it: status shows that and the setting; leat's own reports are still written."""
    leat = one.start("run")
    with one.client(leat) as http:
        put(http, 1)
        wait_until(lambda: one.rows("select 1 from things"), "the row")
        with standby_is_gone(one, "ghost"):
            put(http, 2)
            commit = wait_for_trouble(one, kind="commit")
            assert 'synchronous_standby_names is "ghost"' in commit["words"] and "connected standbys: none" in commit["words"]
            leat.wait_for("a synchronous standby to confirm its commit")
        wait_until_well(one)


def test_before_init(make_world):
    """Log and shard answer, with the remedy: that is unwell, not a failure to find out."""
    world = make_world(**ONE)
    done = world.leat("status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 3 and "leat init" in found["log_error"] and "leat init" in found["shards"][0]["error"]


def test_a_sqlite_shard(make_world):
    """Its causes are named like a server's: a missing parent with its record, and that the file is locked."""
    world = make_world(log="local", store="sqlite", apply={"lock_timeout": "200ms"}, **ONE)
    leat = world.start("run")
    with world.client(leat) as http:
        put(http, 1, parent=7)
        trouble = wait_for_trouble(world, kind="stalled", outcome="bad data for now", table="things", key="1")
        assert trouble["offset"] == 0 and "FOREIGN KEY" in trouble["message"], trouble
        assert world.leat("lag").returncode == 0
        with world.db("a") as db:
            db.execute("insert into parents values (7)")
        wait_until_well(world)
        with world.db("a") as other:
            other.execute("begin immediate")
            put(http, 2)
            trouble = wait_for_trouble(world, kind="lock")
            assert trouble["words"].startswith(f"another process keeps the file's lock: pid={os.getpid()} program"), trouble
            leat.wait_for("stalled by contention")
            assert re.search(r'sqlstate=55P03 .*reason="database is locked', leat.text())
            other.execute("commit")
        wait_until(lambda: world.rows("select count(*) from things") == [(2,)], "both rows")
        wait_until_well(world)
        leat.kill()
        assert f" {leat.pid} was heard last" in wait_for_trouble(world, kind="nobody")["words"]
