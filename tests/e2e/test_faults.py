"""One fault at a time, and leat's reaction."""

import re
import socket
import time
import uuid

import psycopg
import pytest

from lib.harness import LEAT, ROOT, both, key_of, script, wait_until

COUNTER = {"table_sql": "create table counters (app int, id int, n bigint not null default 0, list jsonb not null default '[]',"
                        " primary key (app, id))",
           "route": {"path": "/apps/{app}/counters/{id}", "table": "counters", "tenant": "app",
                     "columns": {"n": "add", "list": "append"}}}


def patch(http, app, ident, number):
    answer = http.patch(f"/apps/{app}/counters/{ident}", json={"n": 1, "list": number})
    assert answer.status_code == 202, answer.text
    return answer.json()


def shard_of(world, app):
    """Where writes of an app go, found by writing one."""
    return next(s for s in world.shard_names if world.rows(f"select 1 from counters where app = {app}", [s]))


def steal_claims(world):
    for shard in world.shard_names:
        with world.db(shard) as db:
            if world.store.kind == "sqlite":
                db.execute("update leat_partitions set claim = randomblob(16), claims = claims + 1")
            else:
                db.execute("select c.* from leat.partitions p, lateral leat.take(p.source, p.partition, 5000) c")


@both
def test_an_outsider_that_claims_fences_the_worker_which_recovers(make_world):
    """Somebody else claims every partition while writes flow: the next batches are fenced (LT001), nothing of them is
    applied twice, and the worker claims again once the group has confirmed its membership."""
    world = make_world(**COUNTER)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(100):
            patch(http, number % 10, 1, number)
        wait_until(lambda: sum(r[0] for r in world.rows("select n from counters")) == 100, "the first 100")
        steal_claims(world)
        for number in range(100, 200):
            patch(http, number % 10, 1, number)
    wait_until(lambda: sum(r[0] for r in world.rows("select n from counters")) == 200, "the rest, after the fence")
    assert world.metric(apply, "leat_batches_fenced_total") >= 1
    for app, numbers in world.rows("select app, list from counters"):
        assert numbers == list(range(app, 200, 10))


@pytest.mark.alone
def test_a_dead_shard_holds_up_only_itself(make_world):
    """With one PostgreSQL stopped the other shard's writes go on; when it returns, the waiting writes are applied, once."""
    world = make_world(**COUNTER)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for app in range(20):
            patch(http, app, 1, 0)
        wait_until(lambda: len(world.rows("select 1 from counters")) == 20, "every app's first write")
        dead = {app for app in range(20) if shard_of(world, app) == "a"}
        assert 0 < len(dead) < 20
        script("postgres", "stop", "--immediate", 1)
        try:
            for app in range(20):
                patch(http, app, 1, 1)
            lag = 'leat_time_lag_seconds{worker="0",shard="a"}'
            wait_until(lambda: world.metrics(apply)[lag] > 2, "the dead shard's time lag to grow")
            wait_until(lambda: all(r[0] == 2 for r in world.rows("select n from counters", ["b"])), "shard b to go on")
            wait_until(lambda: world.metrics(apply)['leat_shard_connections{worker="0",shard="a"}'] == 0, "shard a to be missed")
        finally:
            script("postgres", "restart", 1)
    wait_until(lambda: all(r[0] == 2 for r in world.rows("select n from counters")), "shard a to catch up")
    assert all(numbers == [0, 1] for numbers, in world.rows("select list from counters"))


@pytest.mark.alone
def test_the_edge_starts_and_accepts_while_every_database_is_down(make_world):
    """The catalog file is enough for the edge; the writes wait in the log."""
    world = make_world(**COUNTER)
    world.init()
    for number in (1, 2):
        script("postgres", "stop", "--immediate", number)
    try:
        edge = world.start("edge")
        with world.client(edge) as http:
            patch(http, 1, 1, 1)
            assert http.patch("/apps/1/counters/1", json={"n": "many"}).status_code == 422
    finally:
        for number in (1, 2):
            script("postgres", "restart", number)
    world.start("apply")
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the write")


@pytest.mark.alone
def test_the_edge_starts_while_kafka_is_down(make_world):
    """With a catalog file the edge starts without a broker, answers 503 or 504, and accepts once the broker is there."""
    world = make_world(**COUNTER)
    world.settings["log"]["kafka"]["properties"] = {"delivery.timeout.ms": 2000}
    world.write_config()
    world.init()
    script("kafka", "stop", "--kill")
    try:
        edge = world.start("edge")
        with world.client(edge) as http:
            assert http.patch("/apps/1/counters/1", json={"n": 1, "list": 1}).status_code in (503, 504)
            assert http.get("/healthz").status_code == 200
    finally:
        script("kafka", "up")
    with world.client(edge) as http:
        wait_until(lambda: http.patch("/apps/1/counters/1", json={"n": 1, "list": 2}).status_code == 202, "a write to be accepted")


def test_idle_clients_leave_the_process_its_descriptors(make_world):
    """More clients than the process may open files: they get 503 or are closed; the admin listener answers, and a shard that
    was restarted is connected to again."""
    world = make_world(shards=1, partitions=1)
    world.init()
    few = world.directory / "few"
    few.write_text(f'#!/bin/sh\nulimit -n 300\nexec {LEAT} "$@"\n')
    few.chmod(0o755)
    run = world.start("run", program=few)
    assert "fewer clients than limits.connections wanted=4096 allowed=" in run.text()
    host, port = run.address("edge listens").split(":")
    clients = []
    try:
        for _ in range(400):
            clients.append(socket.create_connection((host, int(port)), timeout=30))
        wait_until(lambda: world.metric(run, "leat_edge_connections_refused_total") >= 100, "clients to be refused")
        world.end_sessions("a")
        wait_until(lambda: world.metric(run, "leat_shard_connects_total") >= 2, "the shard to be connected to again")
        wait_until(lambda: world.metric(run, "leat_shard_connections") > 0, "a connection")
        assert "no connection can be accepted" not in run.text()
    finally:
        for client in clients:
            client.close()
    with world.client(run) as http:
        path = key_of(uuid.uuid4(), uuid.uuid4())
        wait_until(lambda: http.put(path, json={}).status_code == 202, "room for a client")


@pytest.mark.alone
def test_the_edge_says_503_or_504_without_a_broker_and_recovers(make_world):
    """Without a broker no write is answered 202; it never was in the log (503) or may be (504); later ones are accepted
    again without a restart."""
    world = make_world(**COUNTER)
    world.settings["log"]["kafka"]["properties"] = {"delivery.timeout.ms": 2000}
    world.write_config()
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        patch(http, 1, 1, 0)
        script("kafka", "stop", "--kill")
        try:
            answer = http.patch("/apps/1/counters/1", json={"n": 1, "list": 1})
            assert answer.status_code in (503, 504), answer.text
            assert answer.json()["error"] in ("unavailable", "unknown")
            if answer.status_code == 503:
                assert answer.headers["retry-after"]
            wait_until(lambda: http.get("/readyz").status_code == 503, "/readyz to say so")
        finally:
            script("kafka", "up")

        def accepted():
            return http.patch("/apps/1/counters/2", json={"n": 1, "list": 2}).status_code == 202

        wait_until(accepted, "a write to be accepted again")
        wait_until(lambda: http.get("/readyz").status_code == 200, "/readyz to say so")


def test_a_locked_row_delays_its_own_subpartition_only(make_world):
    """A forgotten session holds a row lock: batches with that key fail by lock_timeout and are split, other keys go on."""
    world = make_world(**COUNTER, apply={"lock_timeout": "1s"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, 1, 1)
        wait_until(lambda: world.rows("select n from counters") == [(1,)], "the row")
        with psycopg.connect(world.dsns[shard_of(world, 1)]) as forgotten:
            forgotten.execute("select * from counters where id = 1 for update")
            patch(http, 1, 1, 2)
            for ident in range(2, 102):
                patch(http, 1, ident, 0)
            wait_until(lambda: len(world.rows("select 1 from counters where id > 1")) >= 95, "other keys")
            assert world.rows("select list from counters where id = 1") == [([1],)]
            apply.wait_for("stalled by contention", timeout=60)
    wait_until(lambda: world.rows("select list from counters where id = 1") == [([1, 2],)], "the locked key")


def test_a_lost_range_of_the_log_stops_the_partition(make_world):
    """Records that were deleted from the log before they were applied are never jumped over in silence."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(10):
            patch(http, 1, 1, number)
        wait_until(lambda: world.rows("select n from counters") == [(10,)], "what comes before")
        assert apply.terminate() == 0
        for number in range(10, 20):
            patch(http, 1, 1, number)
    delete_records(world, 15)
    apply = world.start("apply")
    apply.wait_for("partition stopped")
    wait_until(lambda: world.metric(apply, "leat_partitions_stopped") == 1, "the metric")
    assert world.rows("select n from counters") == [(10,)]


def delete_records(world, before):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.delete_records([TopicPartition(world.name, 0, before)]).values():
        future.result(30)


def test_progress_begins_where_the_log_began_at_init(make_world):
    """A topic that was there before init and has lost its beginning is read from its first record; what it loses after
    init is noticed even if nothing was ever applied."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    for lose_more in (False, True):
        world = make_world(shards=1, **COUNTER)
        admin = AdminClient({"bootstrap.servers": world.brokers})
        for future in admin.create_topics([NewTopic(world.name, 1, 1)]).values():
            future.result(30)
        producer = Producer({"bootstrap.servers": world.brokers})
        for number in range(10):
            producer.produce(world.name, partition=0, key="1/1", value=f'{{"n": 1, "list": {number}}}', headers={"op": "patch"})
        producer.flush()
        delete_records(world, 4)
        world.init()
        if lose_more:
            delete_records(world, 6)
        apply = world.start("apply")
        if lose_more:
            apply.wait_for("partition stopped")
            assert world.rows("select * from counters") == []
        else:
            wait_until(lambda: world.rows("select list from counters") == [(list(range(4, 10)),)], "what was there at init")


def test_a_recreated_topic_stops_the_worker(make_world):
    """Offsets of another incarnation mean something else: apply refuses to start on it, with the remedy."""
    from confluent_kafka.admin import AdminClient, NewTopic

    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.delete_topics([world.name]).values():
        future.result(30)

    def recreated():
        try:
            for future in admin.create_topics([NewTopic(world.name, 1, 1)]).values():
                future.result(30)
            return True
        except Exception:
            return False

    wait_until(recreated, "the topic to be made anew")
    done = world.leat("apply")
    assert done.returncode == 1
    section = re.search(r'see "([^"]+)" in (docs/\S+\.md)\.', done.stderr)
    assert "topic id" in done.stderr and section, done.stderr
    assert f"### {section[1]}\n" in (ROOT / section[2]).read_text()


def test_a_second_member_takes_over_partitions_and_gives_them_back(make_world):
    """Members come and go under load; each rebalance loses and doubles nothing."""
    world = make_world(**COUNTER)
    world.init()
    edge, first = world.start("edge"), world.start("apply")
    sent = 0
    with world.client(edge) as http:
        for turn in range(3):
            second = world.start("apply")
            wait_until(lambda: world.metric(second, "leat_partitions_held") == 2, "the second member's share")
            for _ in range(100):
                patch(http, sent % 7, 1, sent)
                sent += 1
            assert second.terminate() == 0
            wait_until(lambda: world.metric(first, "leat_partitions_held") == 4, "the first member to hold all")
    wait_until(lambda: sum(r[0] for r in world.rows("select n from counters")) == sent, "all writes")
    for app, numbers in world.rows("select app, list from counters"):
        assert numbers == list(range(app, sent, 7))


def test_a_second_group_on_the_same_source_is_refused(make_world):
    """Two consumer groups on one topic and its shards would fence each other: the second apply does not start, and says
    why; another member of the same group does."""
    world = make_world(**COUNTER)
    world.init()
    world.start("apply").wait_for("shard is connected shard=b open=4")
    world.start("apply")
    world.settings["log"]["kafka"]["group"] = world.name + "-other"
    world.write_config()
    done = world.leat("apply")
    assert done.returncode == 1 and "another consumer group" in done.stderr


def test_a_log_that_is_not_the_one_progress_was_written_for_stops_the_partition(make_world):
    """The newest applied record has another timestamp than was recorded: the partition stops, with the reason."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, 1, 0)
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the write")
    assert apply.terminate() == 0
    with world.db("a") as db:
        assert db.execute("update leat.partitions set newest_at_ms = newest_at_ms + 1 where newest = 0").rowcount == 1
    again = world.start("apply")
    again.wait_for('reason="the log is not the one')


def test_a_misplaced_record_is_not_applied(make_world):
    """A foreign producer put a tenant's write into another shard's partition: it is a dead letter there and touches no row."""
    from confluent_kafka import Producer

    world = make_world(**COUNTER)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        right = patch(http, 1, 1, 0)["partition"]
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the write in its place")
    producer = Producer({"bootstrap.servers": world.brokers})
    producer.produce(world.name, partition=(right + 2) % 4, key="1/1", value='{"n": 1, "list": 1}', headers={"op": "patch"})
    producer.flush()
    apply.wait_for("misplaced")
    wait_until(lambda: [m.split(":")[0] for m, in world.rows("select message from leat.dead_letters")] == ["misplaced"],
               "the dead letter")
    assert world.rows("select n from counters") == [(1,)]
