"""What metrics say of a lag: when a shard will have caught up (never while nothing moves, a time while something does, nothing once all
is done), and whether it is kept from working or only slow."""
import itertools
import json

import httpx

from lib.harness import wait_until

TABLE = """create table things (app int, id int, n bigint not null default 0, primary key (app, id));
           create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$"""
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"}
NEVER_S = 365 * 24 * 3600
WRITES = 3000


def send(world, leat, ids, apps=(1,)):
    path = world.directory / "lines"
    path.write_text("".join(json.dumps({"method": "PUT", "path": f"/apps/{app}/things/{ident}", "body": {"n": 1}}) + "\n"
                            for ident in ids for app in apps))
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
                assert now["leat_memory_bytes"] > 0
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


# ---- the signature of an incident ----

APPS = range(1, 17)
SLOW_WRITES, SLOW_CONNECTIONS = 24_000, 2  # minutes of work, a fiftieth of a second each


def of_each_shard(world, leat, name):
    """{shard: value} of the one worker; what is not known is 0."""
    metrics = world.metrics(leat)
    return {shard: metrics.get(f'{name}{{worker="0",shard="{shard}"}}', 0) for shard in world.shard_names}


def culprits(leat):
    return httpx.get(f"http://{leat.address('admin listens')}/culprits", timeout=10).json()


def test_a_locked_row_raises_the_signature_and_names_it(make_world):
    """In shard a one row is locked, whose writes are parked, and others are applied; shard b is slow, and all of its connections are
    busy. The lags of both grow alike. The signature is 1 for a, with the record in /culprits, in the log and in leat lag, until the
    row is free; and 0 for b."""
    world = make_world(log="local", shards=2, table_sql=TABLE, route=ROUTE)
    world.settings["shards"][1]["connections"] = SLOW_CONNECTIONS
    world.write_config()
    world.init()
    leat = world.start("run")
    send(world, leat, [0], APPS)
    wait_until(lambda: sum(count for count, in world.rows("select count(*) from things")) == len(APPS), "a row of each app")
    apps = {shard: [app for app, in world.rows("select app from things order by app", [shard])] for shard in world.shard_names}
    seen, app = [], apps["a"][0]
    with world.db("b") as slow, world.db("a") as holder, world.client(leat) as http:
        slow.execute("create trigger slow before insert on things for each row execute function slow()")
        send(world, leat, range(1, 1 + SLOW_WRITES // len(apps["b"])), apps["b"])
        with holder.transaction():
            holder.execute("select from things where app = %s and id = 0 for update", [app])
            locked = http.put(f"/apps/{app}/things/0", json={"n": 2}).json()
            others = itertools.count(1)

            def write_and_look():
                assert http.put(f"/apps/{app}/things/{next(others)}", json={"n": 1}).status_code == 202
                seen.append(of_each_shard(world, leat, "leat_incident_signature"))
                return seen[-1]["a"]

            wait_until(lambda: write_and_look() == 1, "the signature of shard a", timeout=180, every=0.25)
            # Before b has lagged for as long as it takes to be on, its 0 says nothing.
            wait_until(lambda: write_and_look() == 1 and of_each_shard(world, leat, "leat_time_lag_seconds")["b"] > 40, "the lag of shard b",
                       timeout=180, every=0.25)
            assert of_each_shard(world, leat, "leat_parked_records")["a"] >= 1
            named = f"offset {locked['offset']} of partition {locked['partition']} (key '{app}/0', tenant '{app}') holds it for "
            alert, = culprits(leat)["alerts"]
            assert (alert["name"], alert["shard"]) == ("incident_signature", "a") and alert["since_s"] >= 0
            assert alert["text"].startswith(f"the lag grows while the shard is kept from working: {named}"), alert
            leat.wait_for(f'the lag grows while the shard is kept from working shard=a reason="{named}')
            # It reads what the process has reported to the shard, which is seconds older.
            wait_until(lambda: f"the lag grows while the shard is kept from working: {named}" in world.leat("lag").stdout, "leat lag", every=0.5)
        wait_until(lambda: of_each_shard(world, leat, "leat_incident_signature")["a"] == 0, "the end of the signature")
        leat.wait_for("the lag no longer grows while the shard is kept from working shard=a")
        wait_until(lambda: culprits(leat)["alerts"] == [], "no alert")
        assert {one["b"] for one in seen} == {0} and "kept from working shard=b" not in leat.text()
        slow.execute("drop trigger slow on things")
    assert world.rows(f"select n from things where app = {app} and id = 0", ["a"]) == [(2,)]
    assert leat.terminate() == 0
