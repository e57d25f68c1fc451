"""A write travels from HTTP through the log to the row."""

import datetime
import json
import time
import uuid

from lib.harness import RELEASE, any_mix, both, key_of, wait_until


def uuids(count):
    return [str(uuid.uuid4()) for _ in range(count)]


def row_of(world, app, subscription):
    found = world.rows(
        "select properties, last_active, session_count, history from subscriptions"
        f" where app_id = '{app}' and subscription_id = '{subscription}'")
    return found[0] if found else None


def put_patch_delete(world):
    leat = world.start("run")
    app, sub, other = uuids(3)
    with world.client(leat) as http:
        assert http.patch(key_of(app, sub), json={"session_count": 1, "history": "x"}).status_code == 202
        assert http.patch(key_of(app, sub), json={"session_count": 2, "history": {"y": [1]}}).status_code == 202
        wait_until(lambda: row_of(world, app, sub) and len(row_of(world, app, sub)[3]) == 2, "two PATCHes")
        assert row_of(world, app, sub) == (None, None, 8, ["x", {"y": [1]}])  # default 5, then + 1 + 2

        body = {"properties": {"a": 1.50}, "last_active": "2026-01-02T03:04:05.678+01:00"}
        assert http.put(key_of(app, sub), json=body).status_code == 202
        wait_until(lambda: row_of(world, app, sub)[0] is not None, "the PUT")
        properties, last_active, count, history = row_of(world, app, sub)
        assert last_active == datetime.datetime(2026, 1, 2, 2, 4, 5, 678000, datetime.timezone.utc)
        assert (properties, count, history) == ({"a": 1.5}, 5, [])

        assert http.put(key_of(app, other), json={"session_count": 1}).status_code == 202
        assert http.delete(key_of(app, sub)).status_code == 202
        wait_until(lambda: row_of(world, app, sub) is None, "the DELETE")
        wait_until(lambda: row_of(world, app, other), "the other key")
        assert row_of(world, app, other)[2] == 1
    assert leat.terminate() == 0


@any_mix
def test_put_patch_delete_reach_the_row(world):
    """PUT replaces, PATCH changes by the column's operation, DELETE deletes; each once, in the order they were accepted."""
    put_patch_delete(world)


@both
def test_so_does_the_program_that_ships(make_world):
    """The release build, with its own malloc: all else is tested with sanitizers, which bring theirs."""
    world = make_world(program=RELEASE)
    world.init()
    put_patch_delete(world)


@both
def test_answer_names_the_record_in_the_log(world):
    """202 carries topic, partition and offset of the record, which any Kafka tool (or SQLite's) can read in the documented
    form."""
    edge = world.start("edge")
    app, sub = uuids(2)
    with world.client(edge) as http:
        answers = [http.patch(key_of(app.upper(), sub), content=b'{"session_count": 1}').json(),
                   http.put(key_of(app, sub), json={}).json(), http.delete(key_of(app, sub)).json()]
    assert {a["topic"] for a in answers} == {world.name}
    assert len({a["partition"] for a in answers}) == 1
    assert [a["offset"] for a in answers] == sorted(a["offset"] for a in answers)
    records = {(p, o): (k, v, h) for p, o, k, v, h in world.log_records()}
    found = [records[a["partition"], a["offset"]] for a in answers]
    assert [k.decode() for k, _, _ in found] == [f"{app}/{sub}"] * 3
    assert found[0][1:] == (b'{"session_count": 1}', {"op": "patch"})
    assert found[1][2] == {}
    assert not found[2][1] and found[2][2] == {"op": "delete"}


def test_writes_of_a_foreign_producer_are_applied(make_world):
    """Any producer can feed a one-shard topic; a key in another spelling is the same key."""
    from confluent_kafka import Producer

    world = make_world(shards=1, partitions=1)
    world.init()
    world.start("apply")
    app, sub = uuids(2)
    producer = Producer({"bootstrap.servers": world.brokers})
    for key in (f"{app}/{sub}", f"{app.upper()}/{sub}"):
        producer.produce(world.name, key=key, value=json.dumps({"session_count": 1}), headers={"op": "patch"})
    producer.flush()
    wait_until(lambda: row_of(world, app, sub) == (None, None, 7, []), "both writes on one row")


@any_mix
def test_drain_applies_what_is_in_flight_and_commits(world):
    """SIGTERM ends edge and apply with 0; what was applied is committed to Kafka, where that is the log; the rest is applied
    by the next run."""
    leat = world.start("run")
    app, subs = uuids(1)[0], uuids(200)
    with world.client(leat) as http:
        for sub in subs:
            assert http.patch(key_of(app, sub), json={"session_count": 1}).status_code == 202
    assert leat.terminate() == 0
    again = world.start("apply")
    wait_until(lambda: len(world.rows("select 1 from subscriptions")) == 200, "all rows")
    assert {r[0] for r in world.rows("select session_count from subscriptions")} == {6}
    assert again.terminate() == 0
    ends = world.log_ends()
    assert sum(ends.values()) == 200
    if not world.is_one_process:
        assert {p: o for p, o in world.committed().items() if ends[p]} == {p: e for p, e in ends.items() if e}


@both
def test_metrics_tell_answers_rows_and_lag(world):
    """The admin listener counts requests by answer and shows rows and lag per shard."""
    before = time.time()
    leat = world.start("run")
    app = uuids(1)[0]
    with world.client(leat) as http:
        for sub in uuids(50):
            http.patch(key_of(app, sub), json={"session_count": 1})
        assert http.patch(key_of(app, "not-a-uuid"), json={}).status_code == 422
    wait_until(lambda: world.metric(leat, "leat_rows_total") == 50, "rows in the metrics")
    metrics = world.metrics(leat)
    assert metrics['leat_requests_total{code="202"}'] == 50
    assert metrics['leat_requests_total{code="422"}'] == 1
    assert before - 0.001 <= metrics["leat_start_time_seconds"] <= time.time()
    assert metrics['leat_accept_to_durable_seconds_count{route="subscriptions"}'] == 50
    assert world.metric(leat, "leat_batches_total") >= 1 and metrics['leat_log_fetched_records{worker="0"}'] == 0
    assert world.metric(leat, "leat_batch_records_sum") == 50 == world.metric(leat, "leat_apply_lag_seconds_count")
    for shard in "ab":
        assert metrics[f'leat_time_lag_seconds{{worker="0",shard="{shard}"}}'] == 0
        assert metrics[f'leat_message_lag{{worker="0",shard="{shard}"}}'] == 0
        assert metrics[f'leat_shard_connections{{worker="0",shard="{shard}"}}'] == world.store.connections
