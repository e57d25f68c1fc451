"""Writes that wait for a parent which has not come: in many subpartitions, so that they are parked in many chunks."""

from confluent_kafka import Producer

from lib.harness import wait_until

CHILDREN_SQL = """create table parents (id int primary key);
                  create table children (app int, id int, n int not null default 0, parent int references parents, primary key (app, id))"""
CHILD_ROUTE = {"path": "/apps/{app}/children/{id}", "table": "children", "tenant": "app", "columns": {"n": "add"}}


class Orphans:
    """Rows of a world with one shard, four partitions and `log.subpartitions` 1024. They are parked only while others are applied,
    so something else has to be written to each partition meanwhile."""

    ROWS, PARENT, LEAST = 1500, 7, 1000  # chunks, in one round

    def __init__(self, world):
        self.world, self.rounds = world, 0
        self.producer = Producer({"bootstrap.servers": world.brokers})

    def write(self):
        """Once more to each; until that is parked, too."""
        before = self.chunks()
        for row in range(self.ROWS):
            self.producer.produce(self.world.name, key=f"{100 + row}/1", value=f'{{"n": 1, "parent": {self.PARENT}}}', partition=row % 4,
                                  headers={"route": "children", "op": "patch"})
        assert self.producer.flush(30) == 0
        self.rounds += 1
        self.wait_for(before + self.LEAST)

    def chunks(self):
        return self.world.rows("select count(*) from leat.parked")[0][0]

    def wait_for(self, chunks):
        wait_until(lambda: self.chunks() >= chunks, f"{chunks} chunks, {self.chunks()} are", 60)

    def expect_all(self):
        """Their parent comes; then each record is there once."""
        with self.world.db("a") as db:
            db.execute(f"insert into parents values ({self.PARENT})")
        wait_until(lambda: self.chunks() == 0, "nothing to be parked", 60)
        assert self.world.rows("select count(*), min(n), max(n) from children") == [(self.ROWS, self.rounds, self.rounds)]
