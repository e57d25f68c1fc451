"""A shard that does not say no, but nothing: its name is not found out, its server is stopped, the network swallows. The others go
on, and it is reported."""

import contextlib
import signal
import tempfile

import psycopg

from lib.harness import LEAT, wait_until
from lib.leat_sql import Cluster

SLOW_NAMES = LEAT.parent / "tests" / "leat-slow-names"
COUNTERS = {"table_sql": "create table counters (app int, id int, n bigint not null default 0, primary key (app, id))",
            "route": {"path": "/apps/{app}/counters/{id}", "table": "counters", "tenant": "app", "columns": {"n": "add"}}}


def write(http, app, ident):
    answer = http.patch(f"/apps/{app}/counters/{ident}", json={"n": 1})
    assert answer.status_code == 202, answer.text
    return answer.json()["partition"]


def test_a_name_that_hangs_holds_up_only_its_shard(make_world):
    """Shard b's host name takes as long to look up as the resolver likes. Its lookups end nobody's turn: shard a goes on, and
    the process drains. When the resolver answers, b is there again."""
    world = make_world(log="local", store="postgres", partitions=2, workers=1, **COUNTERS)
    world.init()
    slow = world.directory / "slow"
    dsn = world.settings["shards"][1]["dsn"]
    world.settings["shards"][1]["dsn"] = dsn.replace("host=127.0.0.1", "host=slow.test")
    world.write_config()
    run = world.start("run", program=SLOW_NAMES, env={"LEAT_SLOW_NAMES": str(slow)})
    with world.client(run) as http:
        partition_of = {app: write(http, app, 0) for app in range(8)}
        on_a = next(app for app, partition in partition_of.items() if partition == 0)
        on_b = next(app for app, partition in partition_of.items() if partition == 1)
        wait_until(lambda: len(world.rows("select 1 from counters")) == 8, "the first writes")
        slow.touch()
        world.end_sessions("b")
        wait_until(lambda: slow.stat().st_size > 0, "a lookup to hang")
        for ident in range(1, 21):
            write(http, on_a, ident)
            write(http, on_b, ident)
            wait_until(lambda: len(world.rows(f"select 1 from counters where app = {on_a}", ["a"])) == ident + 1, "shard a to go on")
        assert len(world.rows(f"select 1 from counters where app = {on_b}", ["b"])) == 1
        assert len(slow.read_text().split()) <= 4, "all who wait for one name share its lookups"
        slow.unlink()
        wait_until(lambda: len(world.rows(f"select 1 from counters where app = {on_b}", ["b"])) == 21, "shard b to catch up")
        slow.touch()
        world.end_sessions("b")
        wait_until(lambda: slow.stat().st_size > 0, "a lookup to hang again")
    assert run.terminate() == 0
    assert "shard has no connection, tried until there is one shard=b reason=\"57P01: terminating connection due to administrator command\"" in run.text()


@contextlib.contextmanager
def own_server():
    with tempfile.TemporaryDirectory(prefix="leat-pg-") as directory:
        cluster = Cluster(directory)
        try:
            yield cluster
        finally:
            cluster.signal(signal.SIGCONT)
            cluster.stop()


def test_a_server_that_is_stopped_is_told_and_left(make_world):
    """All processes of shard b's server are stopped: it takes data and connections, and does not answer. Shard a goes
    on, the log shows it, the connections are given up. When the server goes on so does b, and each write is there once."""
    world = make_world(log="local", store="postgres", partitions=2, workers=1, **COUNTERS)
    with own_server() as server:
        world.settings["shards"][1]["dsn"] = server.dsn
        world.write_config()
        with psycopg.connect(server.dsn, autocommit=True) as db:
            db.execute(COUNTERS["table_sql"])
        world.init()
        run = world.start("run")
        with world.client(run) as http:
            partition_of = {app: write(http, app, 0) for app in range(8)}
            on_a = next(app for app, partition in partition_of.items() if partition == 0)
            on_b = next(app for app, partition in partition_of.items() if partition == 1)
            count = f"select coalesce(sum(n), 0)::int from counters where app = {on_b}"
            with psycopg.connect(server.dsn, autocommit=True) as db:
                wait_until(lambda: db.execute(count).fetchone()[0] == 1, "shard b's first write")
                server.signal(signal.SIGSTOP)
                for ident in range(20):
                    write(http, on_b, 0)
                    write(http, on_a, ident + 1)
                run.wait_for(f"shard answers neither statements nor a question shard=b server=\"{server.directory}, port 5432\"")
                wait_until(lambda: world.metrics(run)['leat_shard_connections{worker="0",shard="b"}'] == 0, "b to be given up")
                assert len(world.rows(f"select 1 from counters where app = {on_a}", ["a"])) == 21
                server.signal(signal.SIGCONT)
                wait_until(lambda: db.execute(count).fetchone()[0] == 21, "shard b to catch up")
                run.wait_for("shard answers again shard=b silent_s=")
                assert db.execute(count).fetchone()[0] == 21
        assert run.terminate() == 0
    assert "shard=a " not in "".join(l for l in run.text().splitlines() if " warn " in l)
