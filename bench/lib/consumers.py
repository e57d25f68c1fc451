"""Who takes part in bench/versus: leat, and consumers that a command of bench/peers starts. Each says how many records it has
applied, is stopped as its users stop it, and what it has left in the table is checked."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import conninfo_to_dict

from measure import ROOT, progress, session, session_cpu_us, session_pss_mib, tree_cpu_us
from stage import ceiling
from window import Fault, Progress, drain, measure

ADDS, OVERWRITES = "adds", "overwrites"  # what becomes of a counter

# fatal: what its log says when a part of it has failed for good, though its process lives. ahead: it applies records behind one that is
# not applied yet, and its committed offset is that one's; so its rows are asked how much it has applied.
Kind = namedtuple("Kind", "command what counter after_a_crash fatal ahead", defaults=["", False])
PEERS = {
    "naive": Kind("hand/run naive", "by hand, one upsert a record", ADDS, "may count twice"),
    "batch": Kind("hand/run batch", "by hand, one upsert a poll", ADDS, "may count twice"),
    "inbox": Kind("hand/run inbox", "by hand, a durable inbox", ADDS, "exact"),
    "parallel-consumer": Kind("parallel-consumer/run", "parallel-consumer, upserts of batches", ADDS, "may count twice", ahead=True),
    "debezium": Kind("debezium/run", "Debezium's JDBC sink", OVERWRITES, "no counters: the last value", "Task is being killed"),
}
LEAT = Kind("", "leat", ADDS, "exact")
OWN = Kind("", "your own", ADDS, "?")
STOP_S, FINISH_S = 10, 600  # for ending after SIGTERM; for leat, which is waited for until it has applied all

# What a run begins with. The rows are updated once so that their pages have room, as those of a table in use; and the
# checkpoint comes first, so that no page is written to the WAL as a whole later on.
RESET = """
checkpoint;
truncate subscriptions;
drop table if exists inbox;
insert into subscriptions (app_id, subscription_id, properties, session_count)
  select app_id, subscription_id, properties, 0 from filled;
update subscriptions set session_count = 0;
vacuum analyze subscriptions;
"""


# ---- the table ----


def make_rows(world, keys, apps):
    """The rows that every run begins with."""
    ceiling(world, "--fill", "--keys", keys, "--apps", apps, "--batches", max(5 * keys // 1000, 2))  # all but a few
    with world.db("a") as db:
        db.execute("create table filled as select app_id, subscription_id, properties from subscriptions")
        db.execute("alter table subscriptions set (autovacuum_enabled = off)")  # it comes in one run and not in the next


def reset_rows(world):
    with world.db("a") as db:
        for statement in filter(str.strip, RESET.split(";")):
            db.execute(statement)


# ---- contenders ----


class Leat:
    """`leat apply`; it goes on where the last one has stopped, as its place is in the shard."""

    name, kind, must_finish = "leat", LEAT, True

    def __init__(self, world):
        self.world = world

    def start(self, number, begin):
        self.process = self.world.start("apply")
        return self.process.pid

    def said(self):
        return self.process.text()[-3000:]

    def applied(self):
        if not self.process.alive():
            raise Fault(f"leat has ended by itself:\n{self.said()}")
        return int(self.world.metric(self.process, "leat_records_applied_total"))

    def counted(self, count):
        return count

    def positions(self, end):
        """It has been waited for."""
        return end

    def stop(self):
        if self.process.terminate() != 0:
            raise Fault(f"leat did not end well:\n{self.said()}")

    def abandon(self):
        self.process.kill()


class Peer:
    """A command with KAFKA_BROKERS, TOPIC, GROUP and PGHOST, PGPORT, PGUSER, PGDATABASE in its environment. It applies what lies
    behind the committed offsets of its group and commits how far it is."""

    must_finish = False

    def __init__(self, world, name, kind, command):
        self.world, self.name, self.kind, self.command = world, name, kind, command
        self.log_path, self.groups = world.directory / f"{name}.log", []

    def start(self, number, begin):
        group = f"{self.world.name}-{self.name}-{number}"
        self.groups.append(group)
        self.begin = begin
        self.watch = Consumer({"bootstrap.servers": self.world.brokers, "group.id": group, "log_level": 3})
        self.watch.commit(offsets=[TopicPartition(self.world.name, p, o) for p, o in begin.items()], asynchronous=False)
        at = conninfo_to_dict(self.world.dsns["a"])
        env = {**os.environ, "KAFKA_BROKERS": self.world.brokers, "TOPIC": self.world.name, "GROUP": group, "PGHOST": at["host"],
               "PGPORT": at["port"], "PGUSER": at["user"], "PGDATABASE": at["dbname"], "TMPDIR": str(self.world.directory)}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["sh", "-c", self.command], env=env, stdout=log, stderr=log, start_new_session=True)
        return self.process.pid

    def committed(self):
        try:
            found = self.watch.committed([TopicPartition(self.world.name, p) for p in self.begin], timeout=10)
        except KafkaException as fault:
            raise Fault(f"{self.name}: its committed offsets cannot be read: {fault}") from None
        return {at.partition: max(at.offset, self.begin[at.partition]) for at in found}

    def applied(self):
        if self.process.poll() is not None:
            raise Fault(f"{self.name} has ended by itself, with {self.process.returncode}:\n{self.said()}")
        self.check_said()
        return sum(offset - self.begin[partition] for partition, offset in self.committed().items())

    def counted(self, count):
        """What it has applied at an end of the window, where its offsets say `count`."""
        if not self.kind.ahead:
            return count
        with self.world.db("a") as db:
            return db.execute("select coalesce(sum(session_count), 0)::bigint from subscriptions").fetchone()[0]

    def check_said(self):
        """Connect goes on when one of its tasks has failed, and would be measured without it."""
        if self.kind.fatal and self.kind.fatal in self.log_path.read_text(errors="replace"):
            raise Fault(f"{self.name} goes on without a part of it:\n{self.said()}")

    def positions(self, end):
        """{partition: offset} up to which it has applied all, once it has ended."""
        return self.committed()

    def said(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def ended(self):
        return self.process.poll() is not None and not session(self.process.pid)

    def stop(self):
        """SIGTERM to all that it consists of, and until all of it has ended."""
        self.check_said()
        self.signal(signal.SIGTERM)
        end = time.monotonic() + STOP_S
        while not self.ended() and time.monotonic() < end:
            time.sleep(0.05)
        if not self.ended():  # Kafka Connect does so at times; what it has committed counts all the same
            progress(f"warning: {self.name} did not end within {STOP_S} s of SIGTERM, and was killed")
            self.abandon()
        if self.process.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL):
            raise Fault(f"{self.name} did not end well, with {self.process.returncode}:\n{self.said()}")

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)  # a session of its own: its workers too
        except ProcessLookupError:
            pass

    def abandon(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


def delete_groups(world, who):
    """The consumer groups of the peers; those that still have a member, which was killed, stay."""
    names = [group for contender in who.values() if isinstance(contender, Peer) for group in contender.groups]
    admin = AdminClient({"bootstrap.servers": world.brokers, "log_level": 3})  # a name, as it must outlive what it was asked for
    for name, done in (admin.delete_consumer_groups(names, request_timeout=10) if names else {}).items():
        try:
            done.result(timeout=15)
        except (KafkaException, TimeoutError) as fault:
            progress(f"warning: the consumer group {name} stays in Kafka: {fault}")


def command_of(name):
    return str(ROOT / "bench" / "peers" / PEERS[name].command)


def prepare(names):
    """Each of these peers is fetched and compiled if need be."""
    if unknown := [name for name in names if name not in PEERS]:
        sys.exit(f"error: --peers: there is no {unknown[0]}; there are {', '.join(PEERS)}")
    for name in names:
        progress(f"preparing {name}")
        if subprocess.run([command_of(name).split()[0], "--prepare"]).returncode != 0:
            sys.exit(f"error: {name} could not be prepared, see above; --peers without it leaves it out")


def contenders(world, names, own):
    """{name: contender}, leat first."""
    peers = {name: Peer(world, name, PEERS[name], command_of(name)) for name in names}
    return {"leat": Leat(world), **peers, **({"own": Peer(world, "own", OWN, own)} if own else {})}


# ---- a run ----


class Mark:
    """How far it is, when, and with how much CPU time."""

    def __init__(self, pid, servers, count):
        self.count, self.at = count, time.monotonic()
        self.cpu = {"own": session_cpu_us(pid), **{name: sum(map(tree_cpu_us, pids)) for name, pids in servers.items()}}

    def since(self, start):
        records = self.count - start.count
        return {"records_s": records / (self.at - start.at), "window_s": self.at - start.at,
                **{f"{name}_cpu_us": (self.cpu[name] - start.cpu[name]) / records for name in self.cpu}}


Run = namedtuple("Run", "figures count positions")


def finish(contender, how_far, rate, seconds):
    """Waits until all is applied, if that is soon."""
    rest_s = (how_far.total - how_far.count) / rate
    if contender.must_finish:
        if not drain(how_far, FINISH_S):
            raise Fault(f"{contender.name}: it has applied {how_far.count} of {how_far.total} records in {FINISH_S} s")
    elif rest_s < seconds:
        drain(how_far, 2 * rest_s + 2)


def run(contender, number, span, servers, lead, seconds):
    """A Run: its figures, how many records it has applied, and {partition: offset} up to which that is. One that would need longer for
    the rest than until there is stopped."""
    begin, end = span
    pid = contender.start(number, begin)
    try:
        how_far = Progress(contender, sum(end.values()) - sum(begin.values()))
        figures = measure(how_far, lambda count: Mark(pid, servers, contender.counted(count)), lead, seconds)
        figures["pss_mib"] = session_pss_mib(pid)
        finish(contender, how_far, figures["records_s"], lead + seconds)
        contender.stop()
    except BaseException:
        contender.abandon()
        raise
    positions = contender.positions(end)
    return Run(figures, sum(positions.values()) - sum(begin.values()), positions)
