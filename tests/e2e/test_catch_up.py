"""When a shard will have caught up, as metrics say it: never while nothing moves, a time while something does, nothing once all is done."""
import json

from lib.harness import wait_until

TABLE = """create table things (app int, id int, n bigint not null default 0, primary key (app, id));
           create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$"""
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"}
NEVER_S = 365 * 24 * 3600
WRITES = 3000


def send(world, leat, ids):
    path = world.directory / "lines"
    path.write_text("".join(json.dumps({"method": "PUT", "path": f"/apps/1/things/{ident}", "body": {"n": 1}}) + "\n" for ident in ids))
    assert world.leat("send", str(path), "--url", world.url(leat)).returncode == 0


def of_shard(world, leat):
    """{name: sum over workers} of those that one shard has; what is not known is not there."""
    found = {}
    for series, value in world.metrics(leat).items():
        name = series.partition("{")[0]
        found[name] = found.get(name, 0) + value
    return found


def of_lag(world):
    return json.loads(world.leat("lag", "--json").stdout)["shards"][0]["catch_up"]


def test_a_locked_table_never_catches_up_and_a_slow_one_does(make_world):
    world = make_world(log="local", shards=1, table_sql=TABLE, route=ROUTE)
    world.init()
    leat = world.start("run")
    send(world, leat, range(10))
    wait_until(lambda: world.rows("select count(*) from things") == [(10,)], "the first writes")
    with world.db("a") as holder:
        with holder.transaction():
            holder.execute("lock table things in exclusive mode")
            send(world, leat, range(10, 200))
            wait_until(lambda: of_shard(world, leat).get("leat_drain_records_per_second") == 0, "a rate of 0", every=0.5)
            for _ in range(5):  # whatever it looks like from now on, it is not caught up and will not be
                now = of_shard(world, leat)
                assert now["leat_message_lag"] == 190 and now.get("leat_catch_up_seconds", NEVER_S) == NEVER_S, now
                assert now["leat_incident_signature"] in (0, 1) and now["leat_memory_bytes"] > 0
            # It reads what the process has reported to the shard, which is seconds older.
            wait_until(lambda: of_lag(world)["never"], "leat lag that says so", every=0.5)
            assert of_lag(world)["seconds"] is None
    wait_until(lambda: world.rows("select count(*) from things") == [(200,)], "the locked writes")
    with world.db("a") as db:
        db.execute("create trigger slow before insert on things for each row execute function slow()")
        send(world, leat, range(200, 200 + WRITES))
        wait_until(lambda: 0 < of_shard(world, leat).get("leat_catch_up_seconds", NEVER_S) < 3600, "a time that is known", every=0.2)
        now = of_shard(world, leat)
        assert now["leat_drain_records_per_second"] > 0 and now["leat_arrival_records_per_second"] >= 0, now
        db.execute("drop trigger slow on things")
    wait_until(lambda: world.rows("select count(*) from things") == [(200 + WRITES,)], "the slow writes")
    wait_until(lambda: of_shard(world, leat).get("leat_catch_up_seconds") == 0, "caught up", every=0.5)
    now = of_shard(world, leat)
    assert now["leat_records_unaccounted"] == 0 and now["leat_fetch_latency_seconds_count"] == 200 + WRITES, now
    assert now["leat_memory_limit_bytes"] >= now["leat_memory_bytes"]
    assert leat.terminate() == 0
