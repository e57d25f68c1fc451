"""`Idempotency-Key`: a request that is repeated has one effect, through whichever edge it comes, whichever way it goes and whatever
becomes of the worker; and one with the key of another request is told so."""
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
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


def add_again(http, key):
    """Returns how often it was sent. The shard, which does not know of repeats, is asked where the worker takes long to tell."""
    for sent in range(1, 20):
        status, said, replayed = add(http, key, **WAIT)
        assert (status, said["state"]) == (200, "applied")
        if replayed:
            assert replayed == "true" and "repeats" in said["message"]
            return sent
    raise AssertionError("a repeat is never told to be one")


def sums(world):
    return world.rows("select count(*), sum(n) from things")


@both
def test_a_repeat_has_no_effect_and_a_conflict_is_told(world):
    process = world.start("run")
    with world.client(process) as http:
        assert add(http, "a", **WAIT)[::2] == (200, None)
        repeats = sum(add_again(http, key) for key in ("a", '"a"'))
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
    wait_until(lambda: world.metric(process, "leat_records_repeated_total") == repeats + 3, "the metric")
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


def test_a_repeat_of_what_the_database_has_lost_has_an_effect(world):
    """A worker has been told of a repeat, which waits behind a record whose row is locked. Meanwhile the key of the first write goes,
    as by a failover that no claim and no batch shows."""
    edge, worker = world.start("edge"), world.start("apply")
    with world.client(edge) as http, world.db("a") as holder:
        assert add(http, "lost", **WAIT)[0] == 200
        assert worker.terminate() == 0
        with holder.transaction():
            holder.execute("select from things where id = 1 for update")
            assert http.patch("/things/1", json={"n": 10}).status_code == 202
            assert add(http, "lost")[0] == 202
            worker = world.start("apply")
            wait_until(lambda: world.metric(worker, "leat_batches_repeated_total") == 1, "the worker to be told of the repeat")
            wait_until(lambda: any('class="55"' in name and count > 0 for name, count in world.metrics(worker).items()), "it to give way")
            with world.db("a") as failover:
                failover.execute("delete from leat.idempotency")
        wait_until(lambda: sums(world) == [(1, 12)], "both to be applied")
    wait_until(lambda: world.metric(worker, "leat_batches_repeated_total") == 2, "the worker to have been told that it is none")
    assert world.metric(worker, "leat_records_repeated_total") == 0 and world.rows("select count(*) from leat.idempotency") == [(1,)]


def test_a_repeat_that_the_table_does_not_take_any_more_is_refused_by_the_edge(world):
    """As any write that names such a column: nothing of it is stored, and the first one's effect stays."""
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        db.execute("alter table things add extra int")
        repeat = {"json": {"n": 1, "extra": 1}, "headers": {"idempotency-key": "a", **WAIT}}
        wait_until(lambda: http.patch("/things/1", **repeat).status_code == 200, "the new column to be known")
        db.execute("alter table things drop extra")
        wait_until(lambda: http.patch("/things/2", json={"extra": 1}).status_code == 422, "it to be known as gone")
        answer = http.patch("/things/1", **repeat)
        assert (answer.status_code, answer.json()["error"], answer.json()["field"]) == (422, "invalid", "extra")
    assert world.rows("select n from things where id = 1") == [(1,)]


def test_a_repeat_has_no_effect_where_writes_are_applied_in_the_request(make_world):
    """Through two edges, also at the same moment, and in a batch; without any worker, and still keys are forgotten in time."""
    world = make_world(shards=1, partitions=2, table_sql=TABLES, route={**ROUTE, "mode": "sync"}, apply={"idempotency_lifetime": "1m"})
    world.init()
    edges = world.start("edge"), world.start("edge")
    with world.client(edges[0]) as one, world.client(edges[1]) as other:
        for http in one, other:
            wait_until(lambda: http.patch("/things/0", json={"n": 1}).status_code == 200, "the edge to have a connection")
        assert add(one, "a") == (200, {"state": "applied"}, None)
        for key in ("a", '"a"'):
            status, said, replayed = add(other, key)
            assert (status, said["state"], replayed) == (200, "applied", "true") and "repeats" in said["message"]
        status, said, replayed = add(other, "a", n=2)
        assert (status, said["error"], said["field"], replayed) == (422, "invalid", "idempotency-key", None)
        assert add(one, "a", row=2)[::2] == (200, None)  # a key counts for one row
        assert sums(world) == [(3, 2 + 2)]

        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda n: add((one, other)[n % 2], f"at-once-{n // 8}", row=10 + n // 8), range(80)))
        assert {status for status, *_ in said} == {200} and sum(replayed is None for *_, replayed in said) == 10
        assert world.rows("select count(*), min(n), max(n) from things where id >= 10") == [(10, 1, 1)]

        lines = [{"method": "PATCH", "path": "/things/3", "body": {"n": 1}, "idempotency_key": key} for key in "bcbcb"]
        lines.append({"method": "PATCH", "path": "/things/3", "body": {"n": 2}, "idempotency_key": "b"})
        answers = one.post("/batch", json=lines).json()
        assert [(a["status"], "message" in a) for a in answers] == [(200, False)] * 2 + [(200, True)] * 3 + [(422, True)]
        assert world.rows("select n from things where id = 3") == [(2,)]
        assert add(one, "refused", row="x")[0] == 422 and add(one, "refused", row=4)[::2] == (200, None)
    assert world.metrics(edges[0])['leat_sync_writes_total{outcome="conflict"}'] == 1
    # Ten minutes later, by what the slots say: the last one was opened now, and the one before it has been closed for longer than keys live.
    wait_until(lambda: world.rows("select max(opened_ms) from leat.idempotency_slots")[0][0] > 0, "the edge to see to the slots")
    assert world.rows("select count(*) from leat.idempotency")[0][0] > 0
    with world.db("a") as db:
        db.execute("""with aged as (update leat.idempotency_slots set opened_ms = opened_ms - 600000 returning slot, opened_ms)
                      insert into leat.idempotency_slots (slot, opened_ms)
                      select max(slot) + n, max(opened_ms) + n * 300000 from aged, generate_series(1, 2) as n group by n""")
    wait_until(lambda: world.rows("select count(*) from leat.idempotency") == [(0,)], "the edges to have the keys forgotten")


def test_a_write_into_the_database_whose_answer_is_lost_is_sent_again(make_world):
    """An edge dies after it has sent what the database then applies; each request comes once more, through the other edge."""
    world = make_world(shards=1, partitions=2, table_sql=TABLES, route={**ROUTE, "mode": "sync"}, sync={"timeout": "60s"})
    world.init()
    edges = world.start("edge"), world.start("edge")
    with world.client(edges[0]) as one, world.client(edges[1]) as other, world.db("a") as holder, ThreadPoolExecutor(16) as pool:
        for http in one, other:
            wait_until(lambda: http.patch("/things/0", json={"n": 0}).status_code == 200, "the edge to have a connection")

        def send(http, number):
            try:
                return add(http, f"k-{number}", row=number % 6)
            except httpx.TransportError:
                return None

        # Rows 0, 2 and 4 are written through the edge that dies; a write to row 0 waits in the database when it does.
        with holder.transaction():
            holder.execute("select from things where id = 0 for update")
            sent = [pool.submit(send, (one, other)[n % 2], n) for n in range(60)]
            wait_until(lambda: world.rows("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == [(1,)],
                       "the write to row 0 to wait")
            edges[0].signal(signal.SIGSTOP)
        wait_until(lambda: world.rows("select n > 0 from things where id = 0") == [(True,)], "it to be applied")
        edges[0].popen.kill()  # as it is: it reads no answer any more
        said = [future.result() for future in sent]
        lost = [n for n, answer in enumerate(said) if answer is None]
        assert lost and all(n % 2 == 0 for n in lost)
        again = [future.result() for future in [pool.submit(send, other, n) for n in range(60)]]
        assert {status for status, *_ in again} == {200}
        assert any(again[n][2] == "true" for n in lost)  # it was applied, and nobody was told
        assert all(again[n][2] == "true" for n in range(60) if n not in lost)
    assert sorted(world.rows("select id, n from things")) == [(row, 10) for row in range(6)]


def test_a_repeat_goes_another_way_than_the_first(make_world):
    """Of a live route, into the log and into the database and back, and its shadow gets what its table gets."""
    world = make_world(shards=1, partitions=2, table_sql=TABLES, route={**ROUTE, "mode": "live"}, apply={"compact_every": "100ms"})
    world.init()
    process = world.start("run")

    def go(way, status):
        assert world.leat("mode", "set", "things", way).returncode == 0
        wait_until(lambda: http.patch("/things/0", json={"n": 0}).status_code == status, f"the edge to know of {way}")

    with world.client(process) as http:
        go("async", 202)
        assert add(http, "logged", **WAIT)[::2] == (200, None)
        assert add(http, "unseen", row=2)[0] == 202
        go("sync", 200)
        for key, row in ("logged", 1), ("unseen", 2):
            assert add(http, key, row=row)[::2] == (200, "true")
        assert add(http, "direct")[::2] == (200, None)
        go("async", 202)
        add_again(http, "direct")
    assert world.rows("select id, n from things where id > 0 order by id") == [(1, 2), (2, 1)]


def test_a_shadow_gets_each_write_once(make_world):
    """A repeat is none of its writes; what the log has for it needs no key of its own."""
    world = make_world(shards=1, partitions=2, table_sql=TABLES["postgres"] + "; create table things_shadow (like things including all)",
                       route={**ROUTE, "mode": "shadow", "shadow_table": "things_shadow"}, apply={"compact_every": "100ms"})
    world.init()
    process = world.start("run")
    with world.client(process) as http:
        wait_until(lambda: http.patch("/things/0", json={"n": 1}).status_code == 200, "the edge to have a connection")
        assert [add(http, key)[::2] for key in "abab"] == [(200, None)] * 2 + [(200, "true")] * 2
    wait_until(lambda: world.leat("mode", "compare", "things").returncode == 0, "both tables to be alike")
    assert world.rows("select n from things_shadow where id = 1") == [(2,)]
    assert world.rows("select count(*) from leat.idempotency") == [(2,)]
