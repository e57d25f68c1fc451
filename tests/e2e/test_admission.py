"""The edge refuses a tenant or a row that writes more often than its limit, and nobody else."""
import itertools
import json
import random
import time

from lib.harness import both, key_of, wait_until

APPS = ["00000000-0000-0000-0000-00000000000" + n for n in "12"]


@both
def test_a_loud_tenant_gets_429_and_a_quiet_one_202(make_world):
    world = make_world(limits={"tenant": {"rate": 1, "burst": 20}, "key": {"rate": 1, "burst": 5}})
    world.init()
    world.start("apply")
    edge = world.start("edge")
    with world.client(edge) as client:
        answers = [client.put(key_of(APPS[0], f"00000000-0000-0000-0000-0000000001{n:02}"), json={}) for n in range(30)]
        statuses = [a.status_code for a in answers]
        assert statuses[:20] == [202] * 20 and statuses.count(429) >= 5, statuses
        refused = next(a for a in answers if a.status_code == 429)
        assert refused.json()["error"] == "limited" and "limits.tenant" in refused.json()["message"]
        assert int(refused.headers["retry-after"]) == 1
        row = key_of(APPS[1], APPS[1])
        answers = [client.put(row, json={}) for _ in range(8)]
        assert [a.status_code for a in answers[:5]] == [202] * 5
        assert answers[-1].status_code == 429 and "limits.key" in answers[-1].json()["message"]
        assert client.put(key_of(APPS[1], APPS[0]), json={}).status_code == 202
    metrics = world.metrics(edge)
    assert metrics['leat_edge_limited_total{by="tenant"}'] >= 5 and metrics['leat_edge_limited_total{by="key"}'] >= 1
    assert metrics['leat_requests_total{code="429"}'] == sum(v for k, v in metrics.items() if k.startswith("leat_edge_limited_total"))


def report(world, tenant, wait_s, kind="flood"):
    """As a process that applies would, for which much of a tenant waits."""
    said = json.dumps({"partitions": [], "facts": [{"kind": kind, "tenant": tenant, "wait_s": wait_s, "words": "much is parked"}]})
    now = int(time.time() * 1000)
    instance = "00000000-0000-0000-0000-0000000000ff"
    with world.db("a") as db:
        if world.store.kind == "postgres":
            db.execute("insert into leat.workers values (%s, %s, 'h', 1, now(), clock_timestamp(), %s, %s)"
                       " on conflict (source, instance) do update set at = excluded.at, said = excluded.said",
                       (world.source_id(), instance, now, said))
        else:
            db.execute("insert or replace into leat_workers values (?, ?, 'h', 1, ?, ?, ?, ?)",
                       (world.source_id(), instance, now, now, now, said))


@both
def test_who_fills_a_shard_with_parked_records_is_refused_until_that_is_less(make_world):
    """What a process reports in the shard, every edge follows within catalog_every; without new reports it ends."""
    world = make_world(shards=1, catalog_every="200ms")
    world.init()
    world.start("apply")
    edge = world.start("edge")
    with world.client(edge) as client:
        loud, quiet = (key_of(app, APPS[0]) for app in APPS)
        assert client.put(loud, json={}).status_code == 202

        def refused():
            report(world, APPS[0], 90)
            answer = client.put(loud, json={})
            return answer if answer.status_code == 429 else None
        wait_until(refused, "the loud one to be refused")
        answer = refused()
        assert answer.headers["retry-after"] == "90" and "wait to be applied" in answer.json()["message"]
        assert client.put(quiet, json={}).status_code == 202
        report(world, APPS[0], 70, "late")
        wait_until(lambda: "limits.lag" in client.put(loud, json={}).text, "the other reason to be told")
        report(world, APPS[1], 5)
        wait_until(lambda: client.put(loud, json={}).status_code == 202, "it to be taken again")
    metrics = world.metrics(edge)
    assert metrics['leat_edge_limited_total{by="parked"}'] >= 2 and metrics['leat_edge_limited_total{by="lag"}'] >= 1


THINGS = "(app int, id int, n int not null default 0, primary key (app, id))"


def test_a_flood_behind_the_log_refuses_no_write_of_a_table_with_a_shadow(make_world):
    """What waits for the shadow table is no reason to refuse a write of the real one: that goes on, and its shadow without it."""
    tables = "".join(f"create table {name} {THINGS};" for name in ("things", "things_shadow", "logged"))
    world = make_world(shards=1, partitions=2, catalog_every="200ms", table_sql=tables, apply={"compact_every": "200ms"}, routes=[
        {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "mode": "shadow", "shadow_table": "things_shadow"},
        {"path": "/apps/{app}/logged/{id}", "table": "logged", "tenant": "app"}])
    world.init()
    process = world.start("run")
    with world.client(process) as client:
        wait_until(lambda: client.put("/apps/8/things/0", json={}).status_code == 200, "the edge to have a connection")

        def put(path):
            report(world, "7", 90)
            return client.put(path, json={}).status_code
        wait_until(lambda: put("/apps/7/logged/1") == 429, "the loud one to be refused where it goes into the log")
        assert [put(f"/apps/7/things/{n}") for n in range(5)] == [200] * 5
        assert put("/apps/8/things/1") == 200
        assert world.rows("select app, id from things order by 1, 2") == [(7, n) for n in range(5)] + [(8, 0), (8, 1)]
        done = world.leat("mode", "compare", "things", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 3 and sorted(row["key"]["id"] for row in rows) == list(range(5)), done.stdout
        assert {(row["key"]["app"], row["shadow"]) for row in rows} == {(7, None)}
    metrics = world.metrics(process)
    assert metrics['leat_shadow_writes_total{outcome="lost"}'] == 5 and metrics['leat_shadow_writes_total{outcome="appended"}'] == 2


def test_a_flood_behind_a_locked_row_ends_at_the_edge_and_goes_on_when_it_is_applied(make_world):
    world = make_world(shards=1, partitions=1, catalog_every="200ms", table_sql="create table things (app int, id int, t text, primary key (app, id))",
                       route={"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"},
                       apply={"compact_every": "200ms", "lock_timeout": "100ms"})
    world.settings["shards"][0]["parked_max"] = "64KiB"
    world.write_config()
    world.init()
    worker, edge = world.start("apply"), world.start("edge")
    with world.db("a") as other, world.client(edge) as client:
        other.autocommit = False
        other.execute("insert into things values (7, 1)")  # not committed: any writer of the row waits
        numbers = random.Random(1)
        other_id = itertools.count(1)

        def is_refused():
            for _ in range(50):
                answer = client.put("/apps/7/things/1", json={"t": numbers.randbytes(400).hex()})
                if answer.status_code == 429:
                    return answer
                assert answer.status_code == 202
            assert client.put(f"/apps/8/things/{next(other_id)}", json={}).status_code == 202
        wait_until(is_refused, "the flood to be refused")
        assert 1 <= int(client.put("/apps/7/things/1", json={}).headers["retry-after"]) <= 600
        assert client.put("/apps/8/things/100000", json={}).status_code == 202
        status = world.leat("status")
        assert status.returncode == 3 and "tenant=7" in status.stdout and "answered 429" in status.stdout, status.stdout
        assert world.metric(worker, "leat_parked_bytes") > 0
        other.rollback()
        wait_until(lambda: world.metric(worker, "leat_parked_records") == 0, "what is parked to be applied")
        wait_until(lambda: client.put("/apps/7/things/1", json={}).status_code == 202, "the tenant to be taken again")
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]


SLOW = """create table things (app int, id int, t text, primary key (app, id));
create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(0.1); return new; end $$;
create trigger wait after insert or update on things for each row when (new.app = 7) execute function wait()"""


def test_the_loudest_tenant_of_a_shard_that_is_too_late_is_refused_until_that_is_over(make_world):
    """What waits takes longer than limits.lag: the tenant to which most of it belongs gets 429, others 202, until half of it is done."""
    world = make_world(shards=1, partitions=1, catalog_every="200ms", limits={"lag": "2s"}, table_sql=SLOW,
                       route={"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"}, apply={"batch_records": 10})
    world.settings["shards"][0]["connections"] = 2
    world.write_config()
    world.init()
    worker, edge = world.start("apply"), world.start("edge")
    ids = itertools.count(1)
    with world.client(edge) as client:
        def flood(count):
            return [client.put(f"/apps/7/things/{next(ids)}", json={"t": "x" * 200}) for _ in range(count)]

        def is_refused():
            assert client.put(f"/apps/8/things/{next(ids)}", json={}).status_code == 202
            return next((a for a in flood(50) if a.status_code == 429), None)
        refused = wait_until(is_refused, "the flood to be refused")
        assert 1 <= int(refused.headers["retry-after"]) <= 600 and "limits.lag" in refused.json()["message"]
        assert client.put(f"/apps/8/things/{next(ids)}", json={}).status_code == 202
        assert world.metric(worker, "leat_lag_estimate_seconds") > 1
        status = world.leat("status")
        assert status.returncode == 3 and "tenant=7" in status.stdout and "limits.lag" in status.stdout, status.stdout
        with world.db("a") as db:
            db.execute("alter table things disable trigger wait")
        wait_until(lambda: client.put(f"/apps/7/things/{next(ids)}", json={}).status_code == 202, "the tenant to be taken again")
    assert world.metrics(edge)['leat_edge_limited_total{by="lag"}'] >= 1
