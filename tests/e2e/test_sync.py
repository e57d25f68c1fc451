"""Routes with `mode: sync`: the edge itself applies a write in its request, and the answer says what the database did."""
import ctypes
import json
import threading

import psycopg
import pytest

from lib.harness import wait_until
from lib.placement import xxh3

TABLES = """create table parents (id int primary key);
            create table things (id int primary key, n int not null default 0 check (n >= 0), name text unique,
                                 parent int references parents, stamped int, a int, b text);
            insert into parents values (1);
            create table things_shadow (like things including all)"""
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}, "mode": "sync"}


@pytest.fixture
def world_of(make_world):
    def make(**settings):
        world = make_world(**{"shards": 1, "partitions": 2, "table_sql": TABLES, "route": ROUTE, **settings})
        world.init()
        return world

    return make


def said(answer):
    body = answer.json()
    return answer.status_code, body.get("error", body.get("state")), body.get("sqlstate")


def test_a_write_is_answered_with_what_the_database_did(world_of):
    """One edge, no worker: applied, refused, not applied because the row is locked or its key is held, and the shard gone and back."""
    world = world_of(sync={"timeout": "1s", "connections": 3, "queue": 8})
    edge = world.start("edge")
    with world.client(edge) as http, world.db("a") as db:
        wait_until(lambda: http.put("/things/0", json={}).status_code == 200, "the edge to have a connection")
        for n in range(1, 4):
            assert said(http.patch("/things/1", json={"n": 1})) == (200, "applied", None)
            assert world.rows("select n from things where id = 1") == [(n,)]
        assert said(http.patch("/things/1", json={"n": -100})) == (422, "refused", "23514")
        assert said(http.put("/things/2", json={"name": "a"})) == (200, "applied", None)
        assert said(http.put("/things/3", json={"name": "a"})) == (422, "refused", "23505")
        assert said(http.put("/things/3", json={"parent": 2})) == (422, "refused", "23503")
        assert said(http.put("/things/3", json={"nn": 2})) == (422, "invalid", None)
        assert said(http.delete("/things/2")) == (200, "applied", None)
        assert world.rows("select id, n from things order by id") == [(0, 0), (1, 3)]

        # Of a batch, in order: the row's writes do not overtake each other.
        items = [{"method": "PUT", "path": "/things/5", "body": {"n": n}} for n in range(50)]
        items += [{"method": "PUT", "path": "/things/6", "body": {"n": -1}}, {"method": "DELETE", "path": "/things/1"}]
        answers = http.post("/batch", json=items).json()
        assert [a["status"] for a in answers] == [200] * 50 + [422, 200]
        assert answers[0] == {"status": 200, "state": "applied"}
        assert (answers[50]["error"], answers[50]["sqlstate"]) == ("refused", "23514")
        assert world.rows("select id, n from things order by id") == [(0, 0), (5, 49)]

        # A row that is locked: its writes end in time, and are not applied; however many come, other rows go on.
        db.autocommit = False
        db.execute("update things set stamped = 1 where id = 5")
        locked = []
        threads = [threading.Thread(target=lambda: locked.append(said(world.client(edge).patch("/things/5", json={"n": 1}))))
                   for _ in range(12)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(locked) >= 3, "some to find no room")
        assert set(locked) == {(503, "overloaded", None)}
        assert said(http.put("/things/7", json={"n": 7})) == (200, "applied", None)
        for thread in threads:
            thread.join()
        assert set(locked) == {(503, "overloaded", None), (503, "unavailable", None)}
        db.rollback()
        assert said(http.patch("/things/5", json={"n": 1})) == (200, "applied", None)

        # What is kept of a key was accepted before.
        db.autocommit = True
        db.execute("insert into leat.held (source, partition, hash, \"table\", key, message)"
                   " select %s, p, h, 'public.things', '8', 'x' from generate_series(0, 1) as p, (values (%s)) as v (h)",
                   [world.source_id(), ctypes.c_int64(xxh3(b"8", xxh3(b"public.things"))).value])
        assert said(http.put("/things/8", json={"n": 7})) == (503, "unavailable", None)
        db.execute("delete from leat.held")
        assert world.leat("control", "block", "--key", "8", "--for", "1h", "--reason", "too hot").returncode == 0
        answer = http.put("/things/8", json={"n": 7})
        assert said(answer) == (503, "unavailable", None) and "too hot" in answer.text
        assert world.leat("control", "unblock", "--key", "8").returncode == 0
        assert said(http.put("/things/8", json={"n": 7})) == (200, "applied", None)
        # The shard is gone, and comes back.
        name, server = db.info.dbname, psycopg.connect(world.dsns["a"], dbname="postgres", autocommit=True)
        server.execute(f"alter database {name} allow_connections false")
        db.close()
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        wait_until(lambda: "has no connection" in http.put("/things/8", json={"n": 8}).text, "the shard to be known as gone")
        assert said(http.put("/things/8", json={"n": 8})) == (503, "overloaded", None)
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["reason"]) == (503, "no shard takes writes")
        assert "shard a has no connection" in ready.json()["degraded"]
        server.execute(f"alter database {name} allow_connections true")
        server.close()
        wait_until(lambda: http.put("/things/8", json={"n": 9}).status_code == 200, "the shard to be back")
        assert http.get("/readyz").status_code == 200
    assert world.rows("select id, n from things order by id") == [(0, 0), (5, 50), (7, 7), (8, 9)]
    metrics = world.metrics(edge)
    assert metrics['leat_sync_writes_total{outcome="refused"}'] == 4 and metrics["leat_sync_waiting"] == 0
    assert metrics["leat_edge_in_flight"] == 0
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]


def test_a_shadow_table_gets_through_the_log_what_the_table_gets(world_of):
    """The table is written in the request, its shadow from the log; a comparison finds what differs, and only that."""
    world = world_of(routes=[{**ROUTE, "mode": "shadow", "shadow_table": "things_shadow"}], apply={"compact_every": "200ms"})
    process = world.start("run")

    def compare(*arguments):
        done = world.leat("mode", "compare", "things", *arguments)
        return done.returncode, done.stdout

    with world.client(process) as http, world.db("a") as db:
        wait_until(lambda: http.put("/things/0", json={}).status_code == 200, "the edge to have a connection")
        for n in range(1, 21):
            assert said(http.patch(f"/things/{n % 7}", json={"n": n})) == (200, "applied", None)
        assert said(http.put("/things/9", json={"n": -1})) == (422, "refused", "23514")
        assert said(http.delete("/things/3")) == (200, "applied", None)
        assert compare() == (0, "things and things_shadow are alike\n")
        assert world.rows("select * from things order by id") == world.rows("select * from things_shadow order by id")
        assert {r[4]["route"] for r in world.log_records()} == {"things.shadow"}

        db.execute("update things_shadow set n = n + 1 where id = 4; delete from things_shadow where id = 5;"
                   "insert into things_shadow (id) values (77)")
        code, text = compare("--json")
        rows = {json.loads(line)["key"]["id"]: json.loads(line) for line in text.splitlines()}
        assert code == 3 and set(rows) == {4, 5, 77}
        assert rows[4]["shadow"]["n"] == rows[4]["table"]["n"] + 1
        assert rows[5]["shadow"] is None and rows[77]["table"] is None
    metrics = world.metrics(process)
    assert metrics['leat_shadow_writes_total{outcome="appended"}'] == 22 and metrics['leat_shadow_writes_total{outcome="lost"}'] == 0


def test_a_shadow_table_is_like_its_table(world_of, make_world):
    """What is not is refused at `leat init`, with the way to make it."""
    world = make_world(shards=1, table_sql=TABLES + "; create table other (id int primary key, n int)",
                       route={**ROUTE, "mode": "shadow", "shadow_table": "other"})
    done = world.leat("init")
    assert done.returncode != 0 and "CREATE TABLE other (LIKE things INCLUDING ALL)" in done.stderr


class Writers:
    """Threads that add 1 to rows and stamp them with a rising number, each row by one thread at a time over both edges in turn,
    and count what was acknowledged."""

    ROWS = 40

    def __init__(self, world, edges):
        self.added, self.stamped, self.statuses, self.stops = {}, {}, {}, False
        self.threads = [threading.Thread(target=self.run, args=([world.client(e) for e in edges], range(i, self.ROWS, 4))) for i in range(4)]
        for thread in self.threads:
            thread.start()

    def run(self, clients, rows):
        turn = 0
        while not self.stops:
            for row in rows:
                turn += 1
                status = clients[turn % len(clients)].patch(f"/things/{row}", json={"n": 1, "stamped": turn}).status_code
                if status in (200, 202):
                    self.added[row] = self.added.get(row, 0) + 1
                    self.stamped[row] = turn
                self.statuses.setdefault(row, []).append(status)

    def end(self):
        self.stops = True
        for thread in self.threads:
            thread.join()


def test_keys_move_into_the_log_and_back_while_they_are_written(world_of):
    """With two edges: each write counts once whatever way it went, the last one that was acknowledged is there, keys that do not
    move notice nothing, and a write that the database is asked for by an old setting is refused there. A shard that cannot be
    settled keeps no other from it, and is told how to go on and back."""
    world = world_of(shards=2, routes=[{**ROUTE, "mode": "live", "tenant": "id"}], apply={"compact_every": "100ms"})
    edges = [world.start("edge"), world.start("edge")]
    world.start("apply")

    def mode(*arguments):
        done = world.leat("mode", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def live_routes():
        """What `leat check` says of them: by shard the result, and what to do."""
        found = json.loads(world.leat("check", "--json").stdout)["checks"]
        return {check["shard"]: (check["result"], check["do"]) for check in found if check["check"] == "live routes"}

    with world.client(edges[0]) as http:
        refused = http.put("/things/0", json={})  # nobody has said anything yet
        assert refused.status_code == 503 and "leat mode set" in refused.text
        assert live_routes() == dict.fromkeys("ab", ("warning", "leat mode set things sync    # or: async"))
        with world.db("a") as db:
            db.execute("insert into leat.held (source, partition, hash, \"table\", key, message)"
                       " values (%s, 0, 1, 'public.things', 'k', '')", [world.source_id("a")])
            done = world.leat("mode", "set", "things", "sync")
            assert done.returncode == 1 and "shard a: 1 keys of table things are held" in done.stderr
            assert done.stdout.startswith("shard b: ")
            done = world.leat("mode", "set", "things", "async", "--share", "10%")
            assert done.returncode == 1 and done.stdout.startswith("shard b: ")
            assert "shard a: a change from 100.00% to 0.00% async" in done.stderr
            assert "first: leat mode set things sync, or back: leat mode set things async --share 100.00%" in done.stderr
            assert "shard a: of the keys of things, 100.00% go into the log" in mode("set", "things", "async")
            db.execute("delete from leat.held")
        mode("set", "things", "sync")
        assert live_routes() == dict.fromkeys("ab", ("ok", None))
        wait_until(lambda: all(world.client(e).put("/things/0", json={"n": 0}).status_code == 200 for e in edges), "both edges to know")
        writers = Writers(world, edges)
        try:
            assert "30.00% go into the log" in mode("set", "things", "async", "--share", "30%")
            wait_until(lambda: sum(202 in s[-3:] for s in list(writers.statuses.values())) > 3, "some to be accepted by the log")
            moved = {row for row, s in writers.statuses.items() if 202 in s or 503 in s}
            assert " 30.00%" in mode("show")
            mode("set", "things", "sync")
            wait_until(lambda: all(set(s[-3:]) == {200} for s in list(writers.statuses.values())), "all to be applied in the request")
        finally:
            writers.end()
        assert 0 < len(moved) < Writers.ROWS
        for row, statuses in writers.statuses.items():
            assert set(statuses) <= ({200, 202, 503, 504} if row in moved else {200}), row
        for row, n, stamped in world.rows("select id, n, stamped from things"):  # of a 504 nobody knows
            unknown = writers.statuses[row].count(504)
            assert 0 <= n - writers.added.get(row, 0) <= unknown, row
            assert unknown or stamped == writers.stamped[row], row

        # An edge that goes by an old setting: the shard itself refuses.
        with world.db("a") as a, world.db("b") as b:
            for db in a, b:
                db.execute("update leat.modes set version = version + 1, async = 10000, async_before = 10000")
            answer = http.patch("/things/1", json={"n": 1})
            assert answer.status_code == 503 and "another way" in answer.text
            wait_until(lambda: http.patch("/things/1", json={"n": 1}).status_code == 202, "the edge to know")
