"""One row that somebody else holds stops the subpartition it is in, and nothing else: not after ten thousand records, and not after a
restart. Nothing is parked here (test_parking.py)."""
from confluent_kafka import Producer

from lib.harness import wait_until

THINGS = "create table things (id int primary key, n int not null default 0)"
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
KEYS, ROUNDS = 2000, 20
STUCK = 17


def write(world, rounds):
    """So many times every key, in one order: record i of a round is key i's."""
    producer = Producer({"bootstrap.servers": world.brokers, "linger.ms": 5})
    for number in range(rounds * KEYS):
        if number % 5000 == 0:
            producer.flush(30)
        producer.produce(world.name, key=str(number % KEYS), value='{"n": 1}', headers={"op": "patch"}, partition=0)
    assert producer.flush(30) == 0


def keys_with(world, n):
    """Applied this often: all but those of the subpartition that is held, one of 256."""
    return world.rows(f"select count(*) from things where n = {n}")[0][0]


def low(world):
    return world.rows("select low from leat.partitions")[0][0]


def test_ten_locked_rows_leave_the_shard_to_the_others_and_end_with_their_locks(make_world):
    """With a lock timeout of ten minutes: what is waited for is waited for shortly, whatever the setting allows."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply={"lock_timeout": "10m"})
    world.init()
    stuck = range(STUCK, STUCK + 10)
    with world.db("a") as other:
        other.autocommit = False
        for key in stuck:
            other.execute("insert into things (id) values (%s)", [key])
        worker = world.start("apply")
        write(world, 2)
        # The others of ten subpartitions of 256 at most are behind one of them.
        wait_until(lambda: keys_with(world, 2) > KEYS * 0.75, "the others, all of their records")
        wait_until(lambda: 7 <= world.metric(worker, "leat_subpartitions_stalled") <= 10, "those that are blocked, and no others")
        write(world, 1)
        wait_until(lambda: keys_with(world, 3) > KEYS * 0.75, "the others go on")
        assert world.rows(f"select count(*) from things where id between {stuck[0]} and {stuck[-1]}") == [(0,)]
        other.rollback()
    wait_until(lambda: keys_with(world, 3) == KEYS, "all, nothing lost and nothing doubled")
    wait_until(lambda: world.metric(worker, "leat_subpartitions_stalled") == 0, "no trouble left")
    assert worker.terminate() == 0


def test_a_locked_row_holds_up_its_subpartition_alone_and_a_restart_skips_what_is_applied(make_world):
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE,
                       apply={"compact_every": "200ms", "lock_timeout": "200ms"})
    world.settings["shards"][0]["parked_max"] = 0  # what stalls stays in memory
    world.write_config()
    world.init()
    with world.db("a") as other:
        other.autocommit = False
        other.execute(f"insert into things (id) values ({STUCK})")  # not committed: any writer of the row waits
        worker = world.start("apply")
        write(world, ROUNDS)
        wait_until(lambda: keys_with(world, ROUNDS) > KEYS * 0.93, "the others, all of their records")
        wait_until(lambda: low(world) == STUCK - 1, "the low water before the one that is stuck")
        worker.kill()

        again = world.start("apply")
        write(world, 1)
        wait_until(lambda: keys_with(world, ROUNDS + 1) > KEYS * 0.93, "the others go on after the restart")
        wait_until(lambda: world.metric(again, "leat_records_skipped_total") > KEYS * ROUNDS * 0.93, "they were skipped")
        assert low(world) == STUCK - 1
        wait_until(lambda: "UNWELL for at least " in world.leat("status").stdout, "a time that may be longer: the first process is gone")
        other.rollback()
    wait_until(lambda: keys_with(world, ROUNDS + 1) == KEYS, "all, nothing lost and nothing doubled")
    (end,) = world.log_ends().values()
    wait_until(lambda: low(world) == end - 1, "the low water at the end")
    wait_until(lambda: world.metric(again, "leat_message_lag") == 0, "no lag")
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]
    assert again.terminate() == 0
