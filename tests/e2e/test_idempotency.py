"""`Idempotency-Key`: a request that is repeated has one effect, through whichever edge it comes and whatever becomes of the worker; and
one with the key of another request is told so."""
import json

import pytest

from lib.harness import both, wait_until

TABLES = {"postgres": "create table things (id int primary key, n int not null default 0, seen jsonb not null default '[]')",
          "sqlite": "create table things (id integer primary key, n integer not null default 0) strict"}
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
WAIT = {"prefer": "wait=20"}


@pytest.fixture
def world(make_world):
    world = make_world(shards=1, partitions=2, table_sql=TABLES, route=ROUTE, apply={"idempotency_lifetime": "1m"})
    world.init()
    return world


def add(http, key, row=1, n=1, **headers):
    answer = http.patch(f"/things/{row}", json={"n": n}, headers={"idempotency-key": key, **headers})
    return answer.status_code, answer.json(), answer.headers.get("idempotent-replayed")


def sums(world):
    return world.rows("select count(*), sum(n) from things")


@both
def test_a_repeat_has_no_effect_and_a_conflict_is_told(world):
    process = world.start("run")
    with world.client(process) as http:
        assert add(http, "a", **WAIT)[::2] == (200, None)
        for key in ("a", '"a"'):
            status, said, replayed = add(http, key, **WAIT)
            assert (status, said["state"], replayed) == (200, "applied", "true") and "repeats" in said["message"]
        status, said, _ = add(http, "a", n=2, **WAIT)
        assert (status, said["error"], said["field"]) == (422, "invalid", "idempotency-key")
        assert add(http, "a", row=2, **WAIT)[::2] == (200, None)  # a key counts for one row
        assert sums(world) == [(2, 2)]

        # In one batch, and with others: each of its items has its own.
        lines = [{"method": "PATCH", "path": "/things/3", "body": {"n": 1}, "idempotency_key": key} for key in "bcbcba"]
        lines.append({"method": "PATCH", "path": "/things/3", "body": {"n": 1}})
        answer = http.post("/batch", content="\n".join(map(json.dumps, lines)), headers={"content-type": "application/x-ndjson"})
        assert answer.text.count('"status":202') == 7
        assert http.patch("/things/9", json={"n": 1}, headers=WAIT).status_code == 200
        wait_until(lambda: world.rows("select n from things where id = 3") == [(4,)], "b, c, a and the one without a key")
    wait_until(lambda: world.metric(process, "leat_records_repeated_total") == 5, "the metric")
    assert world.metric(process, "leat_shard_errors_total") == 0  # to know a repeat is no error of the shard


def test_one_effect_across_edges_and_workers(world):
    """The worker is killed while it applies, another one takes over, and every request comes twice more, through another edge."""
    edges = world.start("edge"), world.start("edge")
    worker = world.start("apply")
    keys = [(row, f"{row}-{i}") for i in range(8) for row in range(10)]
    with world.client(edges[0]) as one, world.client(edges[1]) as other:
        for row, key in keys:
            assert add(one, key, row)[0] == 202
        wait_until(lambda: sums(world)[0][0] > 0, "the worker to apply")
        worker.kill()
        for row, key in keys:
            assert add(other, key, row)[0] == 202
        worker = world.start("apply")
        for row, key in keys:
            assert add(one, key, row)[0] == 202
        for row in range(10):
            assert add(other, "last", row, **WAIT)[0] == 200
        status, said, _ = add(one, "last", n=2, **WAIT)  # a conflict that this edge has not seen
        assert (status, said["error"]) == (422, "dead_letter") and "idempotency key" in said["message"]
    wait_until(lambda: sums(world) == [(10, 90)], "all to be applied")
    assert world.rows("select count(*) from leat.idempotency") == [(90,)]
    wait_until(lambda: world.metric(worker, "leat_records_conflicting_total") == 1, "the metric")
    assert len(world.leat("dead", "list", "--json").stdout.splitlines()) == 1
