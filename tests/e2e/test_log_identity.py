"""The edge writes only to the topic that was set up: one that was deleted, recreated or another cluster's takes
nothing that is answered 202, and no clock has an acknowledged write deleted."""

import itertools
import re
import threading
import time

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   NewPartitions, NewTopic, ResourcePatternType, ResourceType)

from lib.harness import LEAT, wait_until
from lib.own_broker import OwnBroker, administer

COUNTER = {"table_sql": "create table counters (id int primary key, n bigint not null default 0)",
           "route": {"path": "/counters/{id}", "table": "counters", "columns": {"n": "add"}}}
CLOCK = LEAT.parent / "tests" / "leat-clock"
WEEK_S = 7 * 24 * 60 * 60


@pytest.fixture(scope="module")
def generous(tmp_path_factory):
    """A broker that creates topics on use, checks rights, and runs retention all the time."""
    broker = OwnBroker(tmp_path_factory.mktemp("kafka") / "own", auto_create_topics_enable="true", num_partitions=2,
                       authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                       allow_everyone_if_no_acl_found="true", log_retention_check_interval_ms=500)
    yield broker
    broker.stop()


class Writes:
    """Writes all the time, from a thread of its own; `answers` is [(monotonic time, status, body)]."""

    def __init__(self, url, every=0.005):
        self.url, self.every, self.answers, self.ending = url, every, [], False
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        with httpx.Client(base_url=self.url, timeout=30) as http:
            number = 0
            while not self.ending:
                number += 1
                begun = time.monotonic()
                answer = http.patch(f"/counters/{number % 20}", json={"n": 1})
                self.answers.append((begun, answer.status_code, answer.json()))
                time.sleep(self.every)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join()

    def count(self, status, since=0.0):
        return sum(1 for begun, code, _ in self.answers if code == status and begun >= since)


def delete_topic(world):
    administer(world.brokers, "delete_topics", world.name)


def create_topic(world, partitions):
    administer(world.brokers, "create_topics", NewTopic(world.name, partitions, 1))


def topic_exists(world):
    return world.name in AdminClient({"bootstrap.servers": world.brokers}).list_topics(timeout=30).topics


def test_a_deleted_topic_is_not_made_again(make_world, generous):
    """The topic is deleted under a running edge, and the broker would make it by use: nothing asks it to. Writes are
    answered 503, /readyz says why, and what was answered 202 before was applied or went with the topic."""
    world = make_world(shards=1, partitions=2, brokers=generous.brokers, **COUNTER)
    world.init()
    edge = world.start("edge")
    with Writes(world.url(edge)) as writes:
        wait_until(lambda: writes.count(202) > 50, "writes")
        delete_topic(world)
        deleted = time.monotonic()
        wait_until(lambda: writes.count(503, deleted) > 200, "writes to be refused")
        assert edge.readiness() == (503, f"topic {world.name} does not exist")
        assert not topic_exists(world)
        wait_until(lambda: time.monotonic() > deleted + 5, "some rounds of metadata")
    assert not topic_exists(world)
    assert writes.count(202, deleted) == 0
    assert edge.text().count(f"writes are answered 503 until the topic that was set up is found again topic={world.name}") == 1
    fresh = world.start("edge", wait=False)
    assert fresh.popen.wait(60) == 1
    assert "no longer exists: shard a was set up for the one with id " in fresh.text()
    for command in ("init", "status", "check"):
        done = world.leat(command)
        assert done.returncode != 0 and "no longer exists" in done.stdout + done.stderr
    assert not topic_exists(world)


def test_a_worker_whose_topic_is_gone_is_unready(make_world):
    """The group takes its partitions away, so that nothing is left that could stop: it is reported all the same."""
    world = make_world(shards=1, partitions=2, **COUNTER)
    world.init()
    apply = world.start("apply")
    wait_until(lambda: world.metric(apply, "leat_partitions_held") == 2, "both partitions")
    delete_topic(world)
    why = f"topic {world.name}: the topic was deleted"
    wait_until(lambda: why in apply.readiness("admin listens")[1], "/readyz to say so")
    wait_until(lambda: world.metric(apply, "leat_partitions_stopped") == 2, "both to be counted")


@pytest.mark.parametrize("partitions", [2, 1, 3])
def test_a_topic_made_anew_is_not_written_to(make_world, partitions):
    """Deleted and recreated at once by another program, with the same, fewer or more partitions: no write that the new
    topic took is answered 202, the edge stops writing, says why, and a fresh edge refuses to start."""
    world = make_world(shards=1, partitions=2, **COUNTER)
    world.init()
    edge = world.start("edge")
    with Writes(world.url(edge), every=0) as writes:
        wait_until(lambda: writes.count(202) > 20, "writes")
        delete_topic(world)
        deleted = time.monotonic()
        create_topic(world, partitions)
        wait_until(lambda: "recreated" in edge.readiness()[1], "the edge to see it")
        seen = time.monotonic()
        wait_until(lambda: writes.count(503, seen) > 50, "writes to be refused")
    assert writes.count(202, deleted) == 0
    written = len(world.log_records())
    unknown = writes.count(504)
    assert written <= unknown, f"{written} records are in the topic recreated, {unknown} answers were 504"
    assert edge.text().count("recreated: its id is") == 1
    fresh = world.start("edge", wait=False)
    assert fresh.popen.wait(60) == 1
    assert ("topic id" if partitions == 2 else f"topic {world.name} has {partitions}") in fresh.text()


def test_a_topic_made_anew_while_nobody_writes(make_world):
    """The first write after it was recreated, with no write in between and its offset as good as any."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        delete_topic(world)
        create_topic(world, 1)
        producer = Producer({"bootstrap.servers": world.brokers})
        for _ in range(100):
            producer.produce(world.name, b"x", partition=0)
        producer.flush(30)
        assert http.patch("/counters/1", json={"n": 1}).status_code in (503, 504)


def test_several_edges_and_a_topic_made_anew(make_world):
    """Each finds out by itself, whatever offsets the others' writes make."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edges = [world.start("edge") for _ in range(2)]
    with Writes(world.url(edges[0]), every=0) as one, Writes(world.url(edges[1]), every=0.02) as two:
        wait_until(lambda: one.count(202) > 20 and two.count(202) > 5, "writes")
        delete_topic(world)
        deleted = time.monotonic()
        create_topic(world, 1)
        wait_until(lambda: all("recreated" in e.readiness()[1] for e in edges), "both edges to see it")
    assert one.count(202, deleted) == 0 and two.count(202, deleted) == 0


def test_another_cluster(make_world, generous):
    """The brokers that answer are another cluster's, and have a topic of that name: an edge refuses to start on them, and
    one that started while they were away writes nothing to them."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    administer(generous.brokers, "create_topics", NewTopic(world.name, 1, 1))
    world.settings["log"]["kafka"]["brokers"] = generous.brokers
    world.write_config()
    early = world.start("edge", wait=False)
    assert early.popen.wait(60) == 1
    assert "was set up for the log" in early.text()
    generous.stop()
    edge = world.start("edge")
    with Writes(world.url(edge)) as writes:
        generous.start()
        wait_until(lambda: "the brokers are of Kafka cluster" in edge.readiness()[1], "the edge to see it")
        seen = time.monotonic()
        wait_until(lambda: writes.count(503, seen) > 50, "writes to be refused")
    assert writes.count(202) == 0


def test_more_partitions_than_were_set_up(make_world):
    """A topic that grows is reported once, and written to as before; and everything starts with the known partitions."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edge = world.start("edge")
    administer(world.brokers, "create_partitions", NewPartitions(world.name, 3))
    edge.wait_for(f"the others are not written to client=writer topic={world.name} found=3 wanted=1")
    with world.client(edge) as http:
        for number in range(20):
            answer = http.patch(f"/counters/{number}", json={"n": 1})
            assert answer.status_code == 202 and answer.json()["partition"] == 0
    assert edge.readiness()[0] == 200
    (world.directory / "data" / f"{world.name}.catalog.json").unlink()  # the shard knows too
    assert "topic " + world.name + ": exists, 3 partitions" in world.init()
    fresh, applied = world.start("edge"), world.start("apply")
    with world.client(fresh) as http:
        answer = http.patch("/counters/20", json={"n": 1})
        assert answer.status_code == 202 and answer.json()["partition"] == 0
    wait_until(lambda: world.rows("select sum(n) from counters")[0][0] == 21, "all writes")
    assert applied.text().count(f"the others are not read client=reader topic={world.name} wanted=1") == 1
    checked = world.leat("check")
    assert checked.returncode == 0 and "has 3 partitions, it was set up with 1" in checked.stdout
    assert world.leat("lag").returncode == 0
    world.settings["log"]["kafka"]["partitions"] = 3
    world.write_config()
    refused = world.start("edge", wait=False)
    assert refused.popen.wait(60) == 1 and "was set up with 1: set it to 1" in refused.text()


def test_an_edge_with_few_rights_starts(make_world, generous):
    """WRITE and DESCRIBE are enough: that it cannot read the topic's settings is reported, with the missing right."""
    world = make_world(shards=1, partitions=1, brokers=generous.brokers, **COUNTER)
    world.init()
    administer(world.brokers, "create_acls", *(
        AclBinding(ResourceType.TOPIC, world.name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation,
                   AclPermissionType.ALLOW) for operation in (AclOperation.WRITE, AclOperation.DESCRIBE)))
    edge = world.start("edge")
    assert "cannot read whether the topic is compacted" in edge.text() and "grant DESCRIBE_CONFIGS on the topic" in edge.text()
    with world.client(edge) as http:
        wait_until(lambda: http.patch("/counters/1", json={"n": 1}).status_code == 202, "a write to be taken")


def test_a_right_taken_away_makes_the_edge_unready(make_world, generous):
    """WRITE is taken away under a running edge: 503, unready with the cause after a few, one warning; all as before once
    it is granted again."""
    world = make_world(shards=1, partitions=1, brokers=generous.brokers, **COUNTER)
    world.init()
    edge = world.start("edge")

    def acl(operation, permission):
        return AclBinding(ResourceType.TOPIC, world.name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission)

    with world.client(edge) as http:
        assert http.patch("/counters/1", json={"n": 1}).status_code == 202
        administer(world.brokers, "create_acls", acl(AclOperation.ALL, AclPermissionType.ALLOW),
                   acl(AclOperation.WRITE, AclPermissionType.DENY))
        wait_until(lambda: http.patch("/counters/1", json={"n": 1}).status_code == 503, "a refusal")
        for _ in range(5):
            assert http.patch("/counters/1", json={"n": 1}).status_code == 503
        status, reason = edge.readiness()
        assert status == 503 and "grant WRITE" in reason
        assert edge.text().count("log refuses writes topic=") == 1
        wait_until(lambda: world.metrics(edge)['leat_log_refusals_total{cause="authorization"}'] >= 6, "all of them to be counted")
        administer(world.brokers, "delete_acls", AclBindingFilter(
            ResourceType.TOPIC, world.name, ResourcePatternType.LITERAL, None, None, AclOperation.ANY, AclPermissionType.ANY))
        wait_until(lambda: http.patch("/counters/1", json={"n": 1}).status_code == 202, "a write to be taken")
        assert edge.readiness()[0] == 200


# ---- clocks ----


@pytest.mark.parametrize("before", [False, True], ids=["made by init", "there before init"])
def test_a_clock_that_is_behind_deletes_nothing(make_world, generous, before):
    """The edge's clock is a week behind and retention is a day: the brokers' time counts. A record that another topic
    takes with such a time is deleted, nothing of leat's is, and the lag is of days nowhere."""
    world, control = (make_world(shards=1, partitions=1, brokers=generous.brokers, **COUNTER) for _ in range(2))
    retention = {"retention_ms": 24 * 60 * 60 * 1000, "segment_ms": 1000, "file_delete_delay_ms": 1000}
    create_topic(control, 1)
    if before:
        create_topic(world, 1)
    said = world.init()
    assert ("message.timestamp.type was CreateTime, is LogAppendTime now" in said) == before
    world.log.alter(**retention)
    control.log.alter(**retention)
    edge = world.start("edge", program=CLOCK, env={"LEAT_CLOCK_SHIFT_S": str(-WEEK_S)})
    with world.client(edge) as http:
        for number in range(20):
            assert http.patch(f"/counters/{number}", json={"n": 1}).status_code == 202
    producer = Producer({"bootstrap.servers": generous.brokers})
    producer.produce(control.name, b"x", partition=0, timestamp=int((time.time() - WEEK_S) * 1000))
    assert producer.flush(30) == 0
    wait_until(lambda: control.log.start() == 1, "retention to delete what is a week old")
    assert world.log.start() == 0 and len(world.log_records()) == 20
    applied = world.start("apply")
    wait_until(lambda: world.rows("select sum(n) from counters")[0][0] == 20, "all writes")
    assert world.metric(applied, "leat_time_lag_seconds") < 3600


def test_a_clock_that_is_ahead_is_no_lag_below_zero(make_world):
    """The edge's clock is a day ahead; no lag is negative, and the writes are taken."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    edge = world.start("edge", program=CLOCK, env={"LEAT_CLOCK_SHIFT_S": str(24 * 3600)})
    with world.client(edge) as http:
        assert http.patch("/counters/1", json={"n": 1}).status_code == 202
    applied = world.start("apply")
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the write")
    assert all(value >= 0 for name, value in world.metrics(applied).items() if "lag" in name)


def test_a_clock_that_is_ahead_is_measured_and_said_once(make_world):
    """The edge's clock is 30 s ahead, and records have its time: leat_clock_ahead_seconds says about as much, one log line says so
    however many of them come, and no lag is below zero."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    world.log.alter(message_timestamp_type="CreateTime")
    applied = world.start("apply")
    assert world.metric(applied, "leat_clock_ahead_seconds") == 0
    edge = world.start("edge", program=CLOCK, env={"LEAT_CLOCK_SHIFT_S": "30"})
    written = itertools.count(1)

    def write():
        assert http.patch("/counters/1", json={"n": 1}).status_code == 202
        return next(written)

    def ahead():
        """A record that was read late comes less from the future: of many one is read soon."""
        write()
        return world.metric(applied, "leat_clock_ahead_seconds")

    with world.client(edge) as http:
        wait_until(lambda: ahead() > 28, "the clock to be noticed")
        looks = [ahead() for _ in range(10)]
        total = write()
        wait_until(lambda: world.rows("select n from counters") == [(total,)], "all writes")
    assert all(28 < seconds <= 30 for seconds in looks), looks
    metrics = world.metrics(applied)
    assert 28 < metrics['leat_clock_ahead_seconds{worker="0"}'] <= 30
    assert all(value >= 0 for name, value in metrics.items() if "lag" in name)
    said = re.findall(r"records come from the future, .* accepted (\d+) ms from now", applied.text())
    assert len(said) == 1 and 1000 <= int(said[0]) <= 30_000, applied.text()


def test_the_type_of_timestamps_may_change_while_records_wait(make_world):
    """Records from before `leat init` keep the time they have: the progress that names them still fits."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    world.log.alter(message_timestamp_type="CreateTime")
    edge, applied = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(10):
            assert http.patch("/counters/1", json={"n": 1}).status_code == 202
        edge.wait_for("message.timestamp.type=CreateTime")
        wait_until(lambda: world.rows("select n from counters") == [(10,)], "the first writes")
        assert applied.terminate() == 0
        checked = world.leat("check")
        assert "message.timestamp.type is CreateTime" in checked.stdout and "leat init" in checked.stdout
        world.init()
        for number in range(10):
            assert http.patch("/counters/1", json={"n": 1}).status_code == 202
    world.start("apply")
    wait_until(lambda: world.rows("select n from counters") == [(20,)], "all writes")


def test_refused_timestamps_make_the_edge_unready(make_world):
    """A topic with CreateTime whose brokers take no record of a clock like this one: 503, unready with the cause, one
    warning; and ready again once they take writes."""
    world = make_world(shards=1, partitions=1, **COUNTER)
    world.init()
    world.log.alter(message_timestamp_type="CreateTime", message_timestamp_after_max_ms=60 * 60 * 1000)
    edge = world.start("edge", program=CLOCK, env={"LEAT_CLOCK_SHIFT_S": str(24 * 3600)})
    with world.client(edge) as http:
        for _ in range(5):
            assert http.patch("/counters/1", json={"n": 1}).status_code == 503
        status, reason = edge.readiness()
        assert status == 503 and "timestamp" in reason and "clock" in reason
        assert edge.text().count("log refuses writes topic=") == 1
        world.log.alter(message_timestamp_type="LogAppendTime")
        wait_until(lambda: http.patch("/counters/1", json={"n": 1}).status_code == 202, "a write to be taken")
        assert edge.readiness()[0] == 200
