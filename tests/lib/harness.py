"""Starts leat as its users do, on a real Kafka and real PostgreSQL clusters, and reads back what came of it.

Every test gets a World: a topic, a database in each cluster and a directory of its own. Nothing here sleeps for luck:
`wait_until` polls for the event and says what was missing when it does not come.
"""

import json
import os
import shlex
import signal
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import psycopg
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).resolve().parents[2]
LEAT = Path(os.environ.get("LEAT_BIN", ROOT / "build" / "debug" / "leat"))
LOAD = Path(os.environ.get("LEAT_LOAD_BIN", ROOT / "build" / "release" / "leat-load"))

SUBSCRIPTIONS = """
create table subscriptions (
    app_id uuid, subscription_id uuid,
    properties jsonb, last_active timestamptz,
    session_count int not null default 5, history jsonb not null default '[]',
    primary key (app_id, subscription_id))
"""
SUBSCRIPTIONS_ROUTE = {
    "path": "/apps/{app_id}/subscriptions/{subscription_id}",
    "table": "subscriptions",
    "tenant": "app_id",
    "columns": {"session_count": "add", "history": "append"},
}


def wait_until(condition, what, timeout=60, every=0.05):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {timeout} s for {what}"
        time.sleep(every)


def script(name, *arguments):
    """Runs one of the project's own scripts."""
    return subprocess.run([ROOT / "scripts" / name, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def environment():
    """KAFKA_BROKERS and PG_DSN_n, from the environment or from the scripts that started the servers."""
    found = {k: v for k, v in os.environ.items() if k == "KAFKA_BROKERS" or k.startswith("PG_DSN_")}
    if "KAFKA_BROKERS" not in found or "PG_DSN_1" not in found:
        for name in ("kafka", "postgres"):
            for word in shlex.split(script(name, "env")):
                key, _, value = word.partition("=")
                found.setdefault(key, value)
    return found


class Process:
    """A leat process: its standard error goes to a file, its end is always looked at."""

    def __init__(self, arguments, log_path, env=None):
        self.log_path = Path(log_path)
        self.log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(
            [str(a) for a in arguments], stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})},
            start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def wait_for(self, words, timeout=60, count=1):
        def said():
            assert self.alive() or self.text().count(words) >= count, f"ended with {self.popen.returncode}:\n{self.text()}"
            return self.text().count(words) >= count

        try:
            wait_until(said, f"{words!r} from {self.log_path.name}", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()[-4000:]}") from None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        if self.alive():
            self.signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()

    def terminate(self, timeout=60):
        """SIGTERM, and the exit code of the drain that follows."""
        self.signal(signal.SIGTERM)
        return self.popen.wait(timeout)

    def address(self, words):
        """host:port out of "... http://host:port" in the line that has `words`."""
        self.wait_for(words)
        line = next(l for l in self.text().splitlines()[::-1] if words in l)
        return line.split("http://")[1].split("/")[0].strip()

    def clean(self):
        """Nothing a sanitizer or a broken invariant would say."""
        text = self.text()
        for mark in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "broken invariant", "ThreadSanitizer"):
            assert mark not in text, f"{self.log_path.name}:\n{text[-6000:]}"


class World:
    def __init__(self, directory, shards=2, partitions=None, table_sql=SUBSCRIPTIONS, route=SUBSCRIPTIONS_ROUTE, **settings):
        self.directory = Path(directory)
        self.env = environment()
        self.name = "t" + uuid.uuid4().hex[:12]
        self.brokers = self.env["KAFKA_BROKERS"]
        self.shard_names = ["a", "b", "c", "d"][:shards]
        self.processes = []
        self.config_path = self.directory / "leat.yaml"
        self.dsns = {}
        for number, shard in enumerate(self.shard_names, 1):
            self.make_database(number, shard, table_sql)
        self.settings = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "data_dir": str(self.directory / "data"),
            "log": {"kafka": {"brokers": self.brokers, "topic": self.name, "group": self.name,
                              "properties": {"session.timeout.ms": 6000}}},
            "shards": [{"name": s, "dsn": self.dsns[s], "connections": 4} for s in self.shard_names],
            "routes": [route],
        }
        if partitions:
            self.settings["log"]["kafka"]["partitions"] = partitions
        for key, value in settings.items():
            self.settings[key] = {**self.settings.get(key, {}), **value} if isinstance(value, dict) else value
        self.write_config()

    # ---- set-up ----

    def make_database(self, number, shard, table_sql):
        server = self.env[f"PG_DSN_{number}"]
        with psycopg.connect(server, autocommit=True) as db:
            db.execute(f"create database {self.name}")
        self.dsns[shard] = server.replace("dbname=leat", f"dbname={self.name}")
        with self.db(shard) as db:
            db.execute(table_sql)

    def write_config(self):
        self.config_path.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def close(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.clean()
        admin = AdminClient({"bootstrap.servers": self.brokers})
        for future in admin.delete_topics([self.name]).values():
            future.exception(30)  # it need not be there
        for number, _ in enumerate(self.shard_names, 1):
            with psycopg.connect(self.env[f"PG_DSN_{number}"], autocommit=True) as db:
                db.execute(f"drop database if exists {self.name} with (force)")

    # ---- leat ----

    def leat(self, *arguments, timeout=120):
        """Runs a command to its end; returns the CompletedProcess."""
        return subprocess.run([str(LEAT), *arguments, "--config", str(self.config_path)], capture_output=True, text=True,
                              timeout=timeout)

    def init(self):
        done = self.leat("init")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, command, wait=True):
        number = len(self.processes)
        process = Process([LEAT, command, "--config", self.config_path], self.directory / f"{command}-{number}.log")
        self.processes.append(process)
        if wait:
            process.wait_for(f"leat {command} is up")
        return process

    def url(self, process):
        return "http://" + process.address("edge listens on")

    def client(self, process):
        return httpx.Client(base_url=self.url(process), timeout=30)

    def metrics(self, process):
        """{'name{labels}': value} of the admin listener."""
        text = httpx.get(f"http://{process.address('metrics on')}/metrics", timeout=10).text
        lines = [l for l in text.splitlines() if l and not l.startswith("#")]
        return {l.rpartition(" ")[0]: float(l.rpartition(" ")[2]) for l in lines}

    def metric(self, process, name):
        """Sum over all labels."""
        return sum(v for k, v in self.metrics(process).items() if k.partition("{")[0] == name)

    # ---- reading back ----

    def db(self, shard):
        return psycopg.connect(self.dsns[shard], autocommit=True)

    def rows(self, sql, shards=None):
        found = []
        for shard in shards or self.shard_names:
            with self.db(shard) as db:
                found += db.execute(sql).fetchall()
        return found

    def source_id(self, shard="a"):
        with self.db(shard) as db:
            return db.execute("select id from leat.sources where topic = %s", (self.name,)).fetchone()[0]

    def log_records(self):
        """Everything in the topic as (partition, offset, key, value, headers, timestamp), partition by partition."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": self.name + "-reader",
                             "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error"})
        partitions = consumer.list_topics(self.name, timeout=30).topics[self.name].partitions
        consumer.assign([TopicPartition(self.name, p, OFFSET_BEGINNING) for p in partitions])
        records, ended = [], 0
        while ended < len(partitions):
            for message in consumer.consume(10000, timeout=5):
                if message.error():
                    assert message.error().code() == -191, message.error()  # end of partition
                    ended += 1
                    continue
                records.append((message.partition(), message.offset(), message.key(), message.value(),
                                dict(message.headers() or []), message.timestamp()[1]))
        consumer.close()
        return sorted(records, key=lambda r: (r[0], r[1]))

    def committed(self):
        """{partition: committed offset} of leat's group."""
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": self.settings["log"]["kafka"]["group"]})
        partitions = consumer.list_topics(self.name, timeout=30).topics[self.name].partitions
        offsets = consumer.committed([TopicPartition(self.name, p) for p in partitions], timeout=30)
        consumer.close()
        return {o.partition: o.offset for o in offsets}

    def log_ends(self):
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": self.name + "-reader"})
        partitions = consumer.list_topics(self.name, timeout=30).topics[self.name].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(self.name, p), timeout=30)[1] for p in partitions}
        consumer.close()
        return ends

    def wait_applied(self, process=None, timeout=120):
        """Until every record in the log is applied, as leat's own progress in the shards says."""
        ends = self.log_ends()

        def all_applied():
            return all(self.applied_through(p) >= end - 1 for p, end in ends.items())

        wait_until(all_applied, f"all of {ends} to be applied; have {[self.applied_through(p) for p in ends]}", timeout, 0.2)

    def applied_through(self, partition):
        """The highest offset of the partition that any subpartition has applied. Equal to the last offset of the log only
        if the last record is applied; together with the checks on rows that is what tests wait for."""
        for shard in self.shard_names:
            with self.db(shard) as db:
                row = db.execute(
                    "select greatest(p.low, (select max(o) from unnest(p.base_offsets) o),"
                    " (select max(o) from leat.progress g, unnest(g.offsets) o"
                    "   where g.source = p.source and g.partition = p.partition))"
                    " from leat.partitions p join leat.sources s on s.id = p.source"
                    " where s.topic = %s and p.partition = %s", (self.name, partition)).fetchone()
                if row:
                    return row[0]
        return -1


def key_of(app, subscription):
    return f"/apps/{app}/subscriptions/{subscription}"


def as_json(value):
    return json.dumps(value, separators=(",", ":"))
