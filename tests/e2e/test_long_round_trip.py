"""A database that takes 300 ms for a batch, however few records it has: a synchronous standby far away, a disk that is slow to sync. Batches
are large then, or nothing ends."""
from confluent_kafka import Producer

from lib.harness import wait_until

THINGS = """
create table things (id int primary key, n int not null default 0);
create function wait() returns trigger language plpgsql as 'begin perform pg_sleep(0.3); return null; end';
create trigger wait after insert or update on things for each statement execute function wait();
"""
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
ALONE, HOT, OTHERS = 20, 3000, 1000


def test_a_long_round_trip_is_shared_by_many_records(make_world):
    """After a quiet time, in which each batch had one record: of these nobody can tell whether it is the record that takes so long."""
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE)
    world.settings["shards"][0]["connections"] = 1
    world.write_config()
    world.init()
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers, "linger.ms": 5})

    def write(key):
        producer.produce(world.name, key=str(key), value='{"n": 1}', headers={"op": "patch"}, partition=0)

    def writes_applied():
        return world.rows("select coalesce(sum(n), 0)::int from things")[0][0]

    for number in range(1, ALONE + 1):
        write(0)
        producer.flush(30)
        wait_until(lambda: writes_applied() == number, "one write")
    for number in range(HOT):
        write(0)
        if number % (HOT // OTHERS) == 0:
            write(number + 1)
    assert producer.flush(30) == 0
    wait_until(lambda: writes_applied() == ALONE + HOT + OTHERS, "all of them")
    assert world.metric(worker, "leat_batches_total") < ALONE + 100
    assert worker.terminate() == 0
