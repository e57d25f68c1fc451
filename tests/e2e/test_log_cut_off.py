"""On three brokers of its own. An unclean election cuts the log off, and it grows again past what was read: the partition
stops and says from where on, nothing of the new log is passed over as applied. And a partition without a leader is its own
trouble."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess

import httpx
import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from lib.harness import ROOT, wait_until

THINGS = "create table things (id int primary key, n int not null)"
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}


def free_port():
    """Of which the two that follow are free too, and those 100 higher, where the controllers are."""
    while True:
        first = random.randrange(25000, 31000)
        try:
            for port in (*range(first, first + 3), *range(first + 100, first + 103)):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Brokers:
    """scripts/kafka in a checkout of its own: three brokers beside the ones that other tests use."""

    def __init__(self, directory):
        self.script = directory / "scripts" / "kafka"
        shutil.copytree(ROOT / "scripts", directory / "scripts")
        for part in ("venv", *(str(jars.relative_to(ROOT / ".dev")) for jars in (ROOT / ".dev").glob("kafka*/jars"))):
            link = directory / ".dev" / part
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((ROOT / ".dev" / part).resolve())
        self.port = str(free_port())  # of the usual version; the ports of another are higher
        self.run("up", "--brokers", 3)
        self.address = self.run("env").partition("=")[2].strip().strip("'")

    def run(self, *arguments):
        done = subprocess.run([self.script, *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, "LEAT_KAFKA_PORT": self.port})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def brokers(tmp_path_factory):
    brokers = Brokers(tmp_path_factory.mktemp("brokers"))
    yield brokers
    brokers.run("down", "--wipe")


@pytest.fixture
def world(brokers, make_world, monkeypatch):
    """Its partition has two replicas, one of which is enough to write and to lead."""
    brokers.run("up", "--brokers", 3)
    monkeypatch.setenv("KAFKA_BROKERS", brokers.address)
    world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, apply={"compact_every": "1h"})
    admin = AdminClient({"bootstrap.servers": world.brokers})
    topic = NewTopic(world.name, num_partitions=1, replica_assignment=[[2, 3]], config={
        "min.insync.replicas": "1", "unclean.leader.election.enable": "true"})
    admin.create_topics([topic])[world.name].result(30)
    world.init()
    return world


def put(world, first, end):
    producer = Producer({"bootstrap.servers": world.brokers, "acks": 1, "delivery.timeout.ms": 60000})
    for key in range(first, end):
        producer.produce(world.name, key=str(key), value='{"n": 1}', headers={"op": "patch"}, partition=0)
    assert producer.flush(60) == 0


def count(world):
    return world.rows("select count(*) from things")[0][0]


def read_60_of_which_10_are_on_one_broker_only(world, brokers):
    apply = world.start("apply")
    put(world, 0, 50)
    wait_until(lambda: count(world) == 50, "the writes on both replicas")
    brokers.run("stop", 3)
    put(world, 50, 60)
    wait_until(lambda: count(world) == 60, "the writes on one replica")
    return apply


def ends(world):
    """None while nobody leads the partition."""
    try:
        return world.log_ends()
    except KafkaException:
        return None


def cut_off_at_50(world, brokers, grow_to):
    brokers.run("stop", "--kill", 2)
    brokers.run("restart", 3)
    wait_until(lambda: ends(world) == {0: 50}, "the unclean election")
    put(world, 1000, 1000 + grow_to - 50)
    wait_until(lambda: ends(world) == {0: grow_to}, "the log to grow again")


def accepting_the_loss():
    """The statements of the manual."""
    text = (ROOT / "docs" / "operations.md").read_text().partition("If the log was cut off and rewritten")[2]
    block = re.search(r"(?:^    .*\n)+", text, re.M).group()
    return [s + ";" for s in block.split(";")[:-1]]


def expect_stopped(world, process, *words):
    process.wait_for("partition stopped")
    line = next(l for l in process.text().splitlines() if "partition stopped" in l and 'reason="the log ' in l)
    assert all(w in line for w in words), line
    wait_until(lambda: world.metric(process, "leat_partitions_stopped") == 1, "the metric")
    assert count(world) == 60


def test_a_reader_stops_where_the_log_was_cut_off(world, brokers):
    """It was frozen meanwhile. An operator decides what counts as lost: then the new log is applied, each once."""
    world.settings["log"]["kafka"]["properties"]["session.timeout.ms"] = 150000  # frozen for less than that
    world.write_config()
    apply = read_60_of_which_10_are_on_one_broker_only(world, brokers)
    apply.signal(signal.SIGSTOP)
    cut_off_at_50(world, brokers, 90)
    apply.signal(signal.SIGCONT)
    expect_stopped(world, apply, "cut off and rewritten from offset 50 on", "was read up to offset 59")
    assert apply.terminate() == 0
    again = world.start("apply")  # it stays stopped: the applied records show it
    expect_stopped(world, again, "cut off and rewritten from offset 50 on")
    assert again.terminate() == 0
    with world.db("a") as db:
        values = {"X": "50", "P": "0", "S": str(world.source_id())}
        for statement in accepting_the_loss():
            done = db.execute(re.sub(r"\b[XPS]\b", lambda name: values[name[0]], statement))
            assert done.description is None or done.fetchall() == [], "nothing is parked"
    world.start("apply")
    wait_until(lambda: count(world) == 100, "the writes from offset 50 on")
    assert world.rows("select distinct n from things") == [(1,)]


def test_a_reader_that_starts_later_stops_too(world, brokers):
    """It was killed, long after its low water was recorded last: the newest applied record shows it."""
    apply = read_60_of_which_10_are_on_one_broker_only(world, brokers)
    apply.kill()
    assert world.rows("select low from leat.partitions") == [(-1,)]
    cut_off_at_50(world, brokers, 90)
    again = world.start("apply")
    expect_stopped(world, again, "cut off and rewritten from offset 50 on", "up to offset 59")


def test_a_log_cut_off_behind_what_is_applied_goes_on(world, brokers):
    """The lost records had not been read: the new records at their offsets are applied, each once."""
    apply = world.start("apply")
    put(world, 0, 50)
    wait_until(lambda: count(world) == 50, "the writes on both replicas")
    assert apply.terminate() == 0
    brokers.run("stop", 3)
    put(world, 50, 60)
    cut_off_at_50(world, brokers, 90)
    again = world.start("apply")
    wait_until(lambda: count(world) == 90, "the writes of the new log")
    assert world.rows("select count(*) from things where id >= 1000") == [(40,)]
    assert world.metric(again, "leat_partitions_stopped") == 0


def test_a_partition_without_a_leader_is_its_own_trouble(brokers, make_world, monkeypatch):
    """Its writes are answered 503, all others 202; /readyz stays 200 and names the fault. When its broker is back, all are
    taken."""
    brokers.run("up", "--brokers", 3)
    monkeypatch.setenv("KAFKA_BROKERS", brokers.address)
    world = make_world(shards=1, partitions=2, table_sql=THINGS, route=ROUTE)
    admin = AdminClient({"bootstrap.servers": world.brokers})
    topic = NewTopic(world.name, num_partitions=2, replica_assignment=[[1], [3]], config={"min.insync.replicas": "1"})
    admin.create_topics([topic])[world.name].result(30)
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http, httpx.Client(base_url=world.url(edge), timeout=30) as other:
        keys = {}
        for key in range(50):
            answer = http.put(f"/things/{key}", json={"n": 1})
            assert answer.status_code == 202
            keys[answer.json()["partition"]] = key
        brokers.run("stop", 3)
        wait_until(lambda: "partition 1 has no leader since" in http.get("/readyz").text, "the edge to see it")
        for _ in range(20):
            refused = other.put(f"/things/{keys[1]}", json={"n": 2})
            assert refused.status_code == 503 and refused.headers["retry-after"] == "1"
            assert "partition 1 has no leader" in refused.json()["message"]
            assert http.put(f"/things/{keys[0]}", json={"n": 2}).status_code == 202
            ready = http.get("/readyz")
            assert ready.status_code == 200 and ready.json()["status"] == "degraded"
        brokers.run("restart", 3)
        wait_until(lambda: http.get("/readyz").json() == {"status": "ok"}, "the edge to see it is over", timeout=120)
        assert other.put(f"/things/{keys[1]}", json={"n": 3}).status_code == 202
    assert edge.text().count("partition has no leader: its writes are answered 503 partition=1 ") == 1
