"""The backends of a World's leat: a log (Kafka or the built-in one) and a kind of shard (PostgreSQL or SQLite)."""

import contextlib
import datetime
import json
import sqlite3

import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

LOCK_WAIT_S = 60  # of a reader or writer of a SQLite file that leat writes to

# A row read from SQLite has the Python type that psycopg uses for such a column.
for name, convert in (("json", json.loads), ("jsonb", json.loads), ("bool", lambda v: v == b"1"),
                      ("timestamptz", lambda v: datetime.datetime.fromisoformat(v.decode()))):
    sqlite3.register_converter(name, convert)


# ---- logs ----


class KafkaLog:
    """A topic, and a consumer group of the same name."""

    def __init__(self, name, directory, env, brokers=None):
        self.name, self.brokers, self.is_own = name, brokers or env["KAFKA_BROKERS"], brokers is not None

    def settings(self, partitions):
        return {"kafka": {"brokers": self.brokers, "topic": self.name, "group": self.name,
                          "properties": {"session.timeout.ms": 6000}, **({"partitions": partitions} if partitions else {})}}

    def close(self):
        if self.is_own:  # a test's own brokers end with it
            return
        admin = AdminClient({"bootstrap.servers": self.brokers})
        for future in admin.delete_topics([self.name]).values():
            future.exception(30)  # it need not be there

    def _consumer(self, group, **settings):
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": group, **settings})
        return consumer, consumer.list_topics(self.name, timeout=30).topics[self.name].partitions

    def records(self):
        consumer, partitions = self._consumer(self.name + "-reader", **{
            "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error"})
        consumer.assign([TopicPartition(self.name, p, OFFSET_BEGINNING) for p in partitions])
        records, ended = [], 0
        while ended < len(partitions):
            for message in consumer.consume(10000, timeout=5):
                if message.error():
                    assert message.error().code() == -191, message.error()  # end of partition
                    ended += 1
                    continue
                headers = {k: v.decode() for k, v in message.headers() or []}
                records.append((message.partition(), message.offset(), message.key(), message.value(), headers))
        consumer.close()
        return sorted(records, key=lambda r: (r[0], r[1]))

    def alter(self, **settings):
        """Sets the topic's settings; in their names _ is a dot."""
        resource = ConfigResource(ResourceType.TOPIC, self.name, incremental_configs=[
            ConfigEntry(name.replace("_", "."), str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in settings.items()])
        admin = AdminClient({"bootstrap.servers": self.brokers})
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(30)

    def start(self, partition=0):
        """The first offset that is still there."""
        consumer, _ = self._consumer(self.name + "-reader")
        start, _ = consumer.get_watermark_offsets(TopicPartition(self.name, partition), timeout=30)
        consumer.close()
        return start

    def committed(self):
        """{partition: committed offset} of leat's group."""
        consumer, partitions = self._consumer(self.name)
        offsets = consumer.committed([TopicPartition(self.name, p) for p in partitions], timeout=30)
        consumer.close()
        return {o.partition: o.offset for o in offsets}

    def ends(self):
        consumer, partitions = self._consumer(self.name + "-reader")
        ends = {p: consumer.get_watermark_offsets(TopicPartition(self.name, p), timeout=30)[1] for p in partitions}
        consumer.close()
        return ends


class LocalLog:
    """A file, which is its own topic: it is called as the World is."""

    def __init__(self, name, directory, env):
        self.path = directory / name

    def settings(self, partitions):
        return {"local": {"path": str(self.path), **({"partitions": partitions} if partitions else {})}}

    def close(self):
        pass

    def rows(self, sql):
        with connect_sqlite(self.path) as db:
            return db.execute(sql).fetchall()

    def records(self):
        found = []
        for partition in self.ends():
            for offset, key, value, op in self.rows(f"select offset, key, value, op from leat_records_{partition} order by offset"):
                found.append((partition, offset, key, value, {"op": op} if op else {}))
        return found

    def ends(self):
        return dict(self.rows("select partition, next from leat_partitions order by partition"))


# ---- kinds of shard ----


def connect_sqlite(path):
    """In autocommit, to be used by `with`; never makes a file."""
    db = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=LOCK_WAIT_S, isolation_level=None,
                         detect_types=sqlite3.PARSE_DECLTYPES)
    return contextlib.closing(db)


class Postgres:
    """A database for each shard in a cluster of its own, called as the World is; where there are fewer clusters the first one has the
    other shards' too."""

    kind, connections = "postgres", 4

    def __init__(self, name, directory, env):
        self.name, self.env = name, env
        self.dsns, self.made = {}, []

    def make(self, number, shard, table_sql):
        server, database = self.env.get(f"PG_DSN_{number}"), self.name
        if not server:
            server, database = self.env["PG_DSN_1"], self.name + shard
        with psycopg.connect(server, autocommit=True) as db:
            db.execute(f"create database {database}")
        self.made.append((server, database))
        self.dsns[shard] = server.replace("dbname=leat", f"dbname={database}")
        with self.connect(shard) as db:
            db.execute(table_sql)

    def settings(self, shard):
        return {"name": shard, "dsn": self.dsns[shard], "connections": self.connections}

    def close(self):
        for server, database in self.made:
            with psycopg.connect(server, autocommit=True) as db:
                db.execute(f"drop database if exists {database} with (force)")

    def connect(self, shard):
        return psycopg.connect(self.dsns[shard], autocommit=True)

    def query(self, shard, sql):
        with self.connect(shard) as db:
            return db.execute(sql).fetchall()


class Sqlite:
    """A file for each shard."""

    kind, connections = "sqlite", 1

    def __init__(self, name, directory, env):
        self.directory = directory
        self.paths = {}

    def make(self, number, shard, table_sql):
        self.paths[shard] = self.directory / f"{shard}.db"
        with contextlib.closing(sqlite3.connect(self.paths[shard])) as db:
            db.executescript(table_sql)

    def settings(self, shard):
        return {"name": shard, "sqlite": str(self.paths[shard])}

    def close(self):
        pass

    def connect(self, shard):
        return connect_sqlite(self.paths[shard])

    def query(self, shard, sql):
        """leat's own tables are leat_NAME here, leat.NAME in PostgreSQL: either way they are asked for as leat.NAME."""
        with self.connect(shard) as db:
            return db.execute(sql.replace("leat.", "leat_")).fetchall()


LOGS = {"kafka": KafkaLog, "local": LocalLog}
STORES = {"postgres": Postgres, "sqlite": Sqlite}
