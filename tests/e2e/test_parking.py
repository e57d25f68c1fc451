"""What cannot be applied now is parked in its shard, in order and with its progress: memory stays free, the low water moves on,
others are applied, a restart reads little again, and once the cause has gone all is applied, in order."""
import itertools
import json
import re
import threading

import pytest
from confluent_kafka import Producer

from lib.harness import script, wait_until
from lib.orphans import CHILD_ROUTE, CHILDREN_SQL, Orphans
from lib.standby import Standby

KEYS, STUCK = 300, 17
THINGS = "create table things (id int primary key, n int not null default 0, list jsonb not null default '[]')"
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add", "list": "append"}}
APPLY = {"compact_every": "200ms", "lock_timeout": "200ms"}


class Traffic:
    """Writes to every key, round after round in one order; the list of a row shows the order of its writes. Records are parked only
    while others are applied, so it goes on until it is stopped."""

    def __init__(self, world, partitions=1):
        self.world = world
        self.partitions = partitions
        self.rounds = 0
        self.stopping = threading.Event()
        self.producer = Producer({"bootstrap.servers": world.brokers, "linger.ms": 5})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.05):
            for key in range(KEYS):
                self.producer.produce(self.world.name, key=str(key), value=json.dumps({"n": 1, "list": self.rounds}),
                                      partition=key % self.partitions,
                                      headers={"route": "things", "op": "patch", "traceparent": f"00-{self.rounds}"})
            self.rounds += 1
            self.producer.flush(30)

    def stop(self):
        """The number of rounds."""
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(30) == 0
        return self.rounds


def keys_with(world, n):
    return world.rows(f"select count(*) from things where n = {n}")[0][0]


def low(world):
    return world.rows("select low from leat.partitions")[0][0]


def parked(world):
    """Chunks and records."""
    return world.rows("select count(*), coalesce(sum(records), 0) from leat.parked")[0]


def end(world):
    (last,) = world.log_ends().values()
    return last


def lag(world):
    done = world.leat("lag", "--json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


@pytest.fixture
def stuck(make_world):
    """A world in which one row is locked, and the session that locks it."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply=APPLY)
    world.init()
    with world.db("a") as other:
        other.autocommit = False
        other.execute(f"insert into things (id) values ({STUCK})")  # not committed: any writer of the row waits
        yield world, other


def expect_all(world, rounds):
    """Every record of every key once and in its order, none parked or given up."""
    wait_until(lambda: keys_with(world, rounds) == KEYS, "all, nothing lost and nothing doubled", 60)
    wait_until(lambda: parked(world) == (0, 0) and low(world) == end(world) - 1, "no chunk to be left")
    assert {tuple(values) for (values,) in world.rows("select list from things")} == {tuple(range(rounds))}
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]


def stalls_of_unknown_age(world, process):
    """Of the stalls that `leat status` has from the process, how many may have begun earlier than it says."""
    (shard,) = json.loads(world.leat("status", "--json").stdout)["shards"]
    told = [trouble for trouble in shard["troubles"] if trouble["kind"] == "stalled" and str(process.pid) in trouble["process"]]
    return sum(trouble.get("at_least", False) for trouble in told)


def park(world, traffic):
    """Until all that stalls is parked; the rounds that were written by then."""
    wait_until(lambda: parked(world)[1] > 0, "something to be parked", 60)
    rounds = traffic.stop()
    wait_until(lambda: keys_with(world, rounds) > KEYS * 0.9, "the others, all of their records")
    return rounds


def test_a_locked_row_is_parked_and_the_low_water_moves_on(stuck):
    """Chunks appear, the low water passes the record that stalls, what is parked counts as lag, a restart re-reads little, and
    after the release every record is there once and in order."""
    world, other = stuck
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: parked(world)[1] > 0, "something to be parked", 60)
    wait_until(lambda: low(world) > 20 * KEYS, "the low water to move on", 60)
    chunks, records = parked(world)
    wait_until(lambda: world.metric(worker, "leat_parked_records") >= records, "the metric")
    assert world.metric(worker, "leat_message_lag") >= records and world.metric(worker, "leat_parked_chunks") >= chunks
    assert world.metric(worker, "leat_time_lag_seconds") >= 2 and world.metric(worker, "leat_parks_total") >= 1
    worker.wait_for("records are parked: they wait in the shard while others go on")
    assert worker.text().count("batches met locked rows, so their subpartitions go on alone shard=a total=") == 1
    seen = lag(world)
    assert seen["records"] >= seen["parked"] >= records and seen["seconds"] > 2
    assert re.search(r"[1-9]\d* of them parked", world.leat("lag").stdout)
    wait_until(lambda: re.search(r"stalled by contention.* key=\"\d+\".* parked=[1-9]", world.leat("status").stdout), "status")
    assert re.search(r"^    [1-9]\d* records parked, \d+\.\d MiB of 1024\.0 MiB$", world.leat("status").stdout, re.M)
    (status,) = json.loads(world.leat("status", "--json").stdout)["shards"]
    assert status["parked"] >= records and status["parked_bytes"] > 0
    assert status["parked_max_bytes"] == world.metric(worker, "leat_parked_limit_bytes") == 2**30
    worker.kill()

    passed = low(world)
    again = world.start("apply")
    wait_until(lambda: low(world) > passed, "the low water to move on after the restart")
    assert world.metric(again, "leat_records_skipped_total") < end(world) - passed
    wait_until(lambda: stalls_of_unknown_age(world, again) > 0, "the new process to say that it does not know since when")
    rounds = traffic.stop()
    wait_until(lambda: keys_with(world, rounds) > KEYS * 0.9, "the others, all of their records")
    other.rollback()
    expect_all(world, rounds)
    wait_until(lambda: world.metric(again, "leat_message_lag") == 0, "no lag")
    again.wait_for("no record is parked any longer")
    assert lag(world)["records"] == 0
    assert again.terminate() == 0


def test_a_dead_letter_out_of_a_chunk_is_as_one_from_the_log(stuck):
    """The key, the body and every header, also of foreign producers."""
    world, other = stuck
    producer = Producer({"bootstrap.servers": world.brokers})
    for value in (b'{"n": 1}', b'{"n": "\xff"}', b'{"n": 2}'):
        producer.produce(world.name, key=str(STUCK), value=value, partition=0,
                         headers=[("op", b"patch"), ("raw", b"\xfe\xff"), ("none", None), ("empty", b"")])
    assert producer.flush(30) == 0
    worker = world.start("apply")
    rounds = park(world, Traffic(world))
    other.rollback()
    wait_until(lambda: world.rows(f"select n from things where id = {STUCK}") == [(rounds + 3,)], "the others", 60)
    assert world.rows("select \"offset\", convert_from(key, 'UTF8'), body, op, headers from leat.dead_letters") == [
        (1, str(STUCK), b'{"n": "\xff"}', "patch", {"op": "patch", "raw": {"base64": "/v8="}, "none": None, "empty": ""})]
    wait_until(lambda: parked(world) == (0, 0), "no chunk to be left")
    assert worker.terminate() == 0


def test_a_chunk_that_cannot_be_read_stalls_its_subpartition_alone(stuck):
    """Bytes that somebody has changed are found: a line names the place, nothing is lost, given up or applied in a wrong order, the
    others go on, and once the bytes are right again all is applied."""
    world, other = stuck
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: parked(world)[1] > 0, "something to be parked", 60)
    assert worker.terminate() == 0
    (last,), = world.rows("select max(last_offset) from leat.parked")
    flip = ("update leat.parked set chunk = set_byte(chunk, octet_length(chunk) - 6, get_byte(chunk, octet_length(chunk) - 6) # 1)"
            f" where last_offset <= {last} returning 1")
    world.rows(flip)
    other.rollback()
    again = world.start("apply")
    again.wait_for("records cannot be parked, or parked ones not be read")
    assert "parked records are damaged" in again.text()
    failures = world.metric(again, "leat_park_failures_total")
    wait_until(lambda: world.metric(again, "leat_park_failures_total") > failures, "another try")
    rounds = traffic.stop()
    wait_until(lambda: keys_with(world, rounds) > KEYS * 0.9, "the others to go on")
    assert keys_with(world, rounds) < KEYS and parked(world)[1] > 0
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]
    world.rows(flip)
    expect_all(world, rounds)
    assert again.terminate() == 0


def test_a_partition_without_room_to_park_pauses_and_says_so(make_world):
    """Where the share of a partition is used up it is read no further; a line, a metric and the status name it, and it goes on once
    what stalled is applied."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply=APPLY)
    world.settings["shards"][0]["parked_max"] = 1
    world.write_config()
    world.init()
    with world.db("a") as other:
        other.autocommit = False
        other.execute(f"insert into things (id) values ({STUCK})")
        worker = world.start("apply")
        traffic = Traffic(world)
        wait_until(lambda: world.metric(worker, "leat_partitions_parked_full") == 1, "the partition to be paused", 60)
        worker.wait_for("partition paused: its share of parked_max is used up")

        def troubles():
            shard, = json.loads(world.leat("status", "--json").stdout)["shards"]
            return {trouble["kind"] for trouble in shard["troubles"]}

        wait_until(lambda: "parked_full" in troubles(), "the status")
        rounds = traffic.stop()
        assert parked(world)[1] > 0 and world.metric(worker, "leat_parked_full_in_seconds") == 0
        other.rollback()
    expect_all(world, rounds)
    wait_until(lambda: world.metric(worker, "leat_partitions_parked_full") == 0, "the metric")
    assert worker.terminate() == 0


def test_nothing_is_parked_while_deleted_records_take_up_the_disk(make_world):
    """An old transaction keeps what was deleted, so the table has become much larger than what may be parked. It is said, and ends
    with the transaction and a vacuum."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply=APPLY)
    world.settings["shards"][0]["parked_max"] = "64KiB"
    world.write_config()
    world.init()
    with world.db("a") as other, world.db("a") as db:
        other.autocommit = False
        other.execute(f"insert into things (id) values ({STUCK})")
        db.autocommit = True
        db.execute("insert into leat.parked select 99, 0, 0, g, g, g - 1, 1, 0, 1, decode(repeat('00', 1048576), 'hex')"
                   " from generate_series(1, 130) as g")
        db.execute("delete from leat.parked")
        worker = world.start("apply")
        traffic = Traffic(world)
        worker.wait_for("parked records that were deleted take up the disk: nothing is parked any longer")
        wait_until(lambda: world.metric(worker, "leat_stalled_seconds") > 4, "a stall that would be parked")
        rounds = traffic.stop()
        assert parked(world) == (0, 0) and world.metric(worker, "leat_parked_relation_bytes") > 130 << 20
        assert "take up the disk" in world.leat("status").stdout
        other.rollback()
        expect_all(world, rounds)
        db.execute("vacuum full leat.parked")
        wait_until(lambda: "take up the disk" not in world.leat("status").stdout, "it to be over")
    assert worker.terminate() == 0


def test_nothing_is_parked_where_parked_max_is_0(make_world):
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply=APPLY)
    world.settings["shards"][0]["parked_max"] = 0
    world.write_config()
    world.init()
    with world.db("a") as other:
        other.autocommit = False
        other.execute(f"insert into things (id) values ({STUCK})")
        worker = world.start("apply")
        traffic = Traffic(world)
        wait_until(lambda: world.metric(worker, "leat_stalled_seconds") > 5, "a stall that would be parked")
        assert parked(world) == (0, 0) and low(world) < STUCK
        rounds = traffic.stop()
        other.rollback()
    expect_all(world, rounds)
    assert worker.terminate() == 0


CHILDREN = """create table parents (id int primary key);
              create table children (id int primary key, parent int references parents (id), n int not null default 0)"""
CHILD = {"path": "/children/{id}", "table": "children", "columns": {"n": "add"}}


def test_a_sqlite_file_parks_what_waits_for_its_parent(make_world):
    """The same table and the same jobs in a file: a missing parent stalls, the others go on, a kill loses nothing, and the parent ends
    it."""
    world = make_world(log="local", store="sqlite", shards=1, partitions=1, table_sql=CHILDREN, route=CHILD,
                       apply={"compact_every": "200ms", "patience": "1h"})
    leat = world.start("run")
    with world.db("a") as db:
        db.execute("insert into parents values (1)")

    def put(http, child, parent):
        assert http.patch(f"/children/{child}", json={"parent": parent, "n": 1}).status_code == 202

    written = itertools.count()
    chunks = "select count(*), coalesce(sum(records), 0) from leat_parked"

    def is_parked(http):
        number = next(written)
        put(http, number, 7 if number == STUCK else 1)
        return number > STUCK and world.rows(chunks)[0][1] > 0 and world.rows("select low from leat_partitions")[0][0] > STUCK

    with world.client(leat) as http:
        wait_until(lambda: is_parked(http), "the child without a parent to be parked, and the low water to move on", 60)
    total = next(written)
    assert lag(world)["parked"] > 0
    leat.kill()
    leat = world.start("run")
    with world.db("a") as db:
        db.execute("insert into parents values (7)")
    wait_until(lambda: world.rows("select sum(n) from children") == [(total,)], "all of them, once", 60)
    wait_until(lambda: world.rows(chunks) == [(0, 0)], "no chunk to be left")
    assert leat.terminate() == 0


SLOW = """create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.1); return null; end $$;
          create trigger slow after insert or update on things for each statement execute function slow()"""


def test_a_shard_that_turns_slow_is_shown_and_keeps_up(make_world):
    """It is said once, and nothing of it is held against its records: batches grow instead, and none is parked."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply=APPLY)
    world.init()
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: world.metric(worker, "leat_batches_total") >= 100, "what is usual to be known", 60)
    with world.db("a") as db:
        db.execute(SLOW)
        worker.wait_for("batches take much longer than usual shard=a", timeout=60)
        wait_until(lambda: "batches take much longer than usual" in world.leat("status").stdout, "status")
        rounds = traffic.rounds
        wait_until(lambda: keys_with(world, rounds) + world.rows(f"select count(*) from things where n > {rounds}")[0][0] == KEYS,
                   "what was written by then, though it is slow", 60)
        db.execute("drop trigger slow on things")
    expect_all(world, traffic.stop())
    assert world.metric(worker, "leat_parks_total") == 0
    assert worker.terminate() == 0


@pytest.mark.alone
def test_a_failover_loses_nothing_of_thousands_of_chunks(make_world):
    """No pooler is between. The primary crashes for good; the standby, which lacks what was parked and applied last, takes over, and then
    the worker is killed, too. What was parked is there again, and each record is applied once and in its order."""
    world = make_world(shards=1, partitions=4, table_sql=f"{THINGS}; {CHILDREN_SQL}", routes=[ROUTE, CHILD_ROUTE],
                       apply={**APPLY, "patience": "1h"})
    world.settings["log"]["subpartitions"] = 1024
    primary, traffic = world.dsns["a"], None
    with Standby(1) as standby:
        world.settings["shards"][0]["dsn"] = standby.both(primary, standby_first=False)
        world.write_config()
        world.init()
        worker = world.start("apply")
        try:
            traffic, orphans = Traffic(world, partitions=4), Orphans(world)
            orphans.write()
            standby.catch_up()
            standby.hear_no_more()
            orphans.write()
            assert orphans.LEAST <= standby.run("select count(*) from leat.parked", primary)[0][0] < 2 * orphans.LEAST
            lost = world.rows("select sum(n) from things")[0][0]
            script("postgres", "stop", "--immediate", 1)
            standby.promote()
            world.dsns["a"] = standby.dsn_of(primary)
            assert world.rows("select sum(n) from things")[0][0] < lost
            orphans.wait_for(2 * orphans.LEAST)  # what was lost is parked again
            worker.kill()
            worker = world.start("apply")
            rounds = traffic.stop()
            orphans.expect_all()
            wait_until(lambda: keys_with(world, rounds) == KEYS, "all, nothing lost and nothing doubled", 60)
            assert {tuple(values) for (values,) in world.rows("select list from things")} == {tuple(range(rounds))}
            assert world.rows("select count(*) from leat.dead_letters") == [(0,)]
            assert worker.terminate() == 0
        finally:
            if traffic:
                traffic.stopping.set()
            world.dsns["a"] = primary
            script("postgres", "restart", 1)
