"""Offsets that hold no record: markers of transactions, aborted and compacted records, at the tail, at the start and between.
They are not lag, and losing them is not a loss."""
import json

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from lib.harness import wait_until

THINGS = "create table things (id int primary key, n int not null default 7, note text)"
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
RECORDED = {"apply": {"compact_every": "200ms"}}  # so that the low water is in the shard soon


@pytest.fixture
def world(make_world):
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, **RECORDED)
    world.init()
    return world


class Foreign:
    """A transactional producer of somebody else."""

    def __init__(self, world, **settings):
        self.topic = world.name
        self.producer = Producer({"bootstrap.servers": world.brokers, "transactional.id": world.name, **settings})
        self.producer.init_transactions(60)

    def begin(self, *ids, partition=0):
        self.producer.begin_transaction()
        for key in ids:
            self.producer.produce(self.topic, key=str(key), value='{"n": 1}', headers={"op": "patch"}, partition=partition)
        self.producer.flush(30)

    def commit(self, *ids):
        self.begin(*ids)
        self.producer.commit_transaction(60)

    def abort(self, *ids):
        self.begin(*ids)
        self.producer.abort_transaction(60)


def ids(world):
    return sorted(r[0] for r in world.rows("select id from things"))


def low(world):
    return world.rows("select low from leat.partitions")[0][0]


def delete_up_to(world, offset):
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.delete_records([TopicPartition(world.name, 0, offset)]).values():
        assert future.result(30).low_watermark == offset


def lag_of(world):
    """records, seconds and exit code of `leat lag`."""
    done = world.leat("lag", "--json")
    said = json.loads(done.stdout)
    return said["records"], said["seconds"], done.returncode


def expect_no_lag(world, process):
    """By metrics, by `leat lag` and `leat status`, by the shard and by the group's offset."""
    (end,) = world.log_ends().values()
    wait_until(lambda: world.metric(process, "leat_message_lag") == 0, "no message lag")
    wait_until(lambda: world.metric(process, "leat_time_lag_seconds") == 0, "no time lag")
    wait_until(lambda: low(world) == end - 1, "the low water at the end")
    wait_until(lambda: world.committed() == {0: end}, "the group's offset at the end")
    assert lag_of(world) == (0, 0, 0)
    wait_until(lambda: world.leat("status").returncode == 0, "a report that all is well")


def test_transactions_that_end_leave_no_lag(world):
    """Committed, aborted, and both many times: the marker has the last offset, and there is no lag."""
    apply = world.start("run")
    foreign = Foreign(world)
    foreign.commit(1)
    wait_until(lambda: ids(world) == [1], "the committed write")
    expect_no_lag(world, apply)
    foreign.abort(*range(100, 400))
    expect_no_lag(world, apply)
    for turn in range(2, 8):
        foreign.commit(turn)
        foreign.abort(100 + turn)
    with world.client(apply) as http:
        assert http.patch("/things/8", json={"n": 1}).status_code == 202
    foreign.abort(100)
    wait_until(lambda: ids(world) == list(range(1, 9)), "the writes between")
    expect_no_lag(world, apply)
    assert world.rows("select distinct n from things") == [(8,)]


def test_a_tail_of_markers_that_is_deleted_is_no_loss(world):
    """Retention takes the markers along: the next reader goes on after them, whether or not it has read them itself."""
    apply = world.start("run")
    foreign = Foreign(world)
    foreign.commit(1)
    foreign.abort(2)
    wait_until(lambda: low(world) == 3, "the low water at the last marker")
    delete_up_to(world, 4)
    assert apply.terminate() == 0
    again = world.start("run")
    again.wait_for("partition assigned shard=a partition=0")
    foreign.commit(3)
    wait_until(lambda: ids(world) == [1, 3], "the next write")
    expect_no_lag(world, again)
    delete_up_to(world, 6)  # under a reader
    foreign.commit(4)
    wait_until(lambda: ids(world) == [1, 3, 4], "the write after that")
    assert world.metric(again, "leat_partitions_stopped") == 0


def test_a_log_that_starts_in_a_hole(world):
    """Its first records are aborted ones, and retention has taken half of them."""
    foreign = Foreign(world)
    foreign.abort(*range(100, 110))
    apply = world.start("run")
    wait_until(lambda: low(world) == 10, "the low water at the marker")
    assert apply.terminate() == 0
    delete_up_to(world, 5)
    again = world.start("run")
    foreign.commit(1)
    wait_until(lambda: ids(world) == [1], "the write behind them")
    expect_no_lag(world, again)


def test_without_a_worker_the_lag_looks_whether_a_record_follows(world):
    """Nobody has read the markers: `leat lag` and `leat status` find that nothing is left to apply, or that something is."""
    apply = world.start("run")
    foreign = Foreign(world)
    foreign.commit(1)
    wait_until(lambda: low(world) == 1, "the low water")
    assert apply.terminate() == 0
    foreign.abort(*range(100, 120))
    assert lag_of(world) == (0, 0, 0)
    wait_until(lambda: world.leat("status").returncode == 0, "a report that all is well")
    foreign.commit(2)
    records, seconds, code = lag_of(world)
    assert (records, code) == (2, 0) and 0 < seconds < 600  # the record and its marker: an upper bound
    assert world.leat("status").returncode == 3


def test_members_come_and_go_between_markers(make_world):
    """Each rebalance has partitions paused and resumed where they were read to: no record after a marker is skipped."""
    world = make_world(shards=1, partitions=2, table_sql=THINGS, route=ROUTE, **RECORDED)
    world.init()
    first = world.start("apply")
    foreign = Foreign(world)
    written = 0
    for _ in range(3):
        second = world.start("apply")
        wait_until(lambda: world.metric(second, "leat_partitions_held") == 1, "the second member's share")
        for _ in range(10):
            for partition in (0, 1):
                foreign.begin(1000, partition=partition)
                foreign.producer.abort_transaction(60)
                foreign.begin(written, partition=partition)
                foreign.producer.commit_transaction(60)
                written += 1
        assert second.terminate() == 0
        wait_until(lambda: world.metric(first, "leat_partitions_held") == 2, "the first member to hold all")
    wait_until(lambda: ids(world) == list(range(written)), "every committed write")
    assert world.rows("select distinct n from things") == [(8,)]
    wait_until(lambda: world.metric(first, "leat_message_lag") == 0, "no lag")
    assert lag_of(world) == (0, 0, 0)


def test_an_open_transaction_is_named(world):
    """It holds back later writes of others: lag, status and the worker's log show it, from which offset on, and that is
    over when it ends."""
    apply = world.start("run")
    with world.client(apply) as http:
        assert http.patch("/things/1", json={"n": 1}).status_code == 202
        wait_until(lambda: ids(world) == [1], "the write before it")
        foreign = Foreign(world)
        foreign.begin(2)
        for number in range(3, 13):
            assert http.patch(f"/things/{number}", json={"n": 1}).status_code == 202
    words = "an open transaction of a foreign producer holds back 11 offsets"
    done = world.leat("lag")
    assert done.returncode == 0 and f"{words} of partition 0 from offset 1 on" in done.stdout
    said = json.loads(world.leat("lag", "--json").stdout)["partitions"][0]
    assert (said["records"], said["held"], said["held_from"]) == (11, 11, 1) and said["seconds"] > 0
    apply.wait_for("holds records back: they are read once it ends, or once its producer's transaction.timeout.ms is over "
                   "partition=0 offset=1 held_offsets=11")  # it is open for longer than transactions are
    done = world.leat("status")
    assert done.returncode == 3 and f"UNWELL, {words} of partition 0 from offset 1 on" in done.stdout
    wait_until(lambda: world.metric(apply, "leat_message_lag") == 11, "the metric")
    assert ids(world) == [1]
    foreign.producer.commit_transaction(60)
    wait_until(lambda: ids(world) == list(range(1, 13)), "what was held back")
    expect_no_lag(world, apply)
    assert "holds back" not in world.leat("lag").stdout + world.leat("status").stdout


def alter(world, settings):
    admin = AdminClient({"bootstrap.servers": world.brokers})
    entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in settings.items()]
    resource = ConfigResource("topic", world.name, incremental_configs=entries)
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def test_compacted_records_are_no_lag_and_no_loss(world):
    """A topic that was compacted for a while has holes in the middle: the remaining records are applied."""
    alter(world, {"cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.01",
                  "max.compaction.lag.ms": "300", "delete.retention.ms": "0"})
    foreign = Foreign(world)
    written = 0

    def compacted():
        nonlocal written
        foreign.commit(1, 1, 1)
        foreign.abort(2)
        written += 3
        return len(world.log_records()) < written

    wait_until(compacted, "the cleaner", timeout=120, every=0.5)
    alter(world, {"cleanup.policy": "delete"})  # leat does not start on a topic that is compacted
    apply = world.start("run")
    wait_until(lambda: ids(world) == [1], "what was kept")
    expect_no_lag(world, apply)
    assert world.rows("select n from things") == [(7 + len(world.log_records()),)]


@pytest.mark.parametrize("value", [None, b""])
@pytest.mark.parametrize("op", [None, "", "put", "patch", "delete"])
def test_a_foreign_record_without_a_value(world, op, value):
    """Null and empty are one: a DELETE, but with `patch` the PATCH {}, which makes a row that is missing and leaves one that is
    there."""
    apply = world.start("run")
    with world.client(apply) as http:
        assert http.put("/things/1", json={"n": 3, "note": "x"}).status_code == 202
    wait_until(lambda: ids(world) == [1], "the row")
    producer = Producer({"bootstrap.servers": world.brokers})
    for key in ("1", "2"):
        producer.produce(world.name, key=key, value=value, headers=None if op is None else {"op": op}, partition=0)
    producer.flush(30)
    expect_no_lag(world, apply)
    wanted = [(1, 3, "x"), (2, 7, None)] if op == "patch" else []
    assert sorted(world.rows("select id, n, note from things")) == wanted
    assert world.rows("select * from leat.dead_letters") == []
