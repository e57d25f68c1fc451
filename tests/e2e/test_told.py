"""Everybody is told: whatever stands still, `leat status` is 3 and names it, from outside; when it moves again, 0."""

import json
import signal

import httpx
import psycopg
import pytest

from lib.harness import wait_until

TABLE = """
    create table parents (id int primary key);
    create table things (id int primary key, n int, parent int references parents)
"""
ROUTE = {"path": "/things/{id}", "table": "things"}
ONE = {"shards": 1, "partitions": 2, "table_sql": TABLE, "route": ROUTE}


def status(world):
    """(exit code, troubles of shard a) of `leat status --json`; the text says the same."""
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
def one(make_world):
    world = make_world(**ONE)
    world.init()
    return world


def put(http, number, **values):
    assert http.put(f"/things/{number}", json={**{"n": number}, **values}).status_code == 202


def test_a_locked_row(one):
    """The record, and the session that has its row, are named; the log says it before a second batch has failed."""
    leat = one.start("run")
    with one.client(leat) as http, one.db("a") as foreign:
        put(http, 1)
        wait_until(lambda: one.rows("select 1 from things"), "the row")
        foreign.execute("set application_name = 'the culprit'")
        with foreign.transaction():
            foreign.execute("select from things where id = 1 for update")
            pid = foreign.info.backend_pid
            put(http, 1, n=2)
            lock = wait_for_trouble(one, kind="lock")
            assert f"session pid={pid} application_name=\"the culprit\"" in lock["words"] and "things" in lock["words"]
            assert "is stalled by" not in leat.text()
            leat.wait_for(f"session pid={pid} ")
            stalled = wait_for_trouble(one, kind="stalled", outcome="contention", table="things", key="1")
            assert stalled["sqlstate"] == "55P03" and stalled["offset"] >= 0 and stalled["seconds"] >= 1
            assert one.metric(leat, "leat_subpartitions_stalled") == 1
            assert one.metric(leat, "leat_stalled_seconds") >= 1
        wait_until_well(one)
        assert "leat_stalled_seconds{" not in "".join(one.metrics(leat))
