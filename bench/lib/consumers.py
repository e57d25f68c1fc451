"""Who takes part in bench/versus: leat, and consumers that a command of bench/peers starts. Each says how many records it has
applied, is stopped as its users stop it, and what it has left in the table is checked."""

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from psycopg.conninfo import conninfo_to_dict

from measure import ROOT, progress, stat_fields, tree_cpu_us
from stage import ceiling

ADDS, OVERWRITES = "adds", "overwrites"  # what becomes of a counter

Kind = namedtuple("Kind", "command what counter after_a_crash")
PEERS = {
    "naive": Kind("hand/run naive", "by hand, one upsert a record", ADDS, "may count twice"),
    "batch": Kind("hand/run batch", "by hand, one upsert a poll", ADDS, "may count twice"),
    "inbox": Kind("hand/run inbox", "by hand, a durable inbox", ADDS, "exact"),
    "parallel-consumer": Kind("parallel-consumer/run", "parallel-consumer, upserts of batches", ADDS, "may count twice"),
    "debezium": Kind("debezium/run", "Debezium's JDBC sink", OVERWRITES, "no counters: the last value"),
}
LEAT = Kind("", "leat", ADDS, "exact")
OWN = Kind("", "your own", ADDS, "?")
START_S, STALL_S, STOP_S = 180, 60, 20

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
FOUND = """
select count(*), count(last_active), coalesce(sum(session_count), 0),
  coalesce(sum(hashtextextended(properties::text || extract(epoch from last_active), 0)::numeric), 0) from subscriptions
"""
Found = namedtuple("Found", "rows written counters values")


class Fault(Exception):
    """A contender has failed, or its rows are wrong."""


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


def found_rows(world):
    with world.db("a") as db:
        return Found(*map(int, db.execute(FOUND).fetchone()))


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
        self.log_path = world.directory / f"{name}.log"

    def start(self, number, begin):
        group = f"{self.world.name}-{self.name}-{number}"
        self.begin = begin
        self.watch = Consumer({"bootstrap.servers": self.world.brokers, "group.id": group, "log_level": 3})
        self.watch.commit(offsets=[TopicPartition(self.world.name, p, o) for p, o in begin.items()], asynchronous=False)
        at = conninfo_to_dict(self.world.dsns["a"])
        env = {**os.environ, "KAFKA_BROKERS": self.world.brokers, "TOPIC": self.world.name, "GROUP": group, "PGHOST": at["host"],
               "PGPORT": at["port"], "PGUSER": at["user"], "PGDATABASE": at["dbname"]}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(["sh", "-c", "exec " + self.command], env=env, stdout=log, stderr=log, start_new_session=True)
        return self.process.pid

    def applied(self):
        if self.process.poll() is not None:
            raise Fault(f"{self.name} has ended by itself, with {self.process.returncode}:\n{self.said()}")
        try:
            committed = self.watch.committed([TopicPartition(self.world.name, p) for p in self.begin], timeout=10)
        except KafkaException as fault:
            raise Fault(f"{self.name}: its committed offsets cannot be read: {fault}") from None
        return sum(max(c.offset - self.begin[c.partition], 0) for c in committed)

    def said(self):
        return self.log_path.read_text(errors="replace")[-3000:]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:  # Kafka Connect does so at times; what it has committed counts all the same
            progress(f"warning: {self.name} did not end within {STOP_S} s of SIGTERM, and was killed")
            self.abandon()
        if self.process.returncode not in (0, -signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL):
            raise Fault(f"{self.name} did not end well, with {self.process.returncode}:\n{self.said()}")
        self.watch.close()

    def abandon(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own: its workers too
        except ProcessLookupError:
            pass
        self.process.wait()


def command_of(kind):
    return str(ROOT / "bench" / "peers" / kind.command)


def contenders(world, names, own):
    """{name: contender}, leat first; each peer is fetched and compiled if need be."""
    found = {"leat": Leat(world)}
    for name in names:
        if name not in PEERS:
            sys.exit(f"error: --peers: there is no {name}; there are {', '.join(PEERS)}")
        command = command_of(PEERS[name])
        progress(f"preparing {name}")
        if subprocess.run([command.split()[0], "--prepare"]).returncode != 0:
            sys.exit(f"error: {name} could not be prepared, see above; --peers without it leaves it out")
        found[name] = Peer(world, name, PEERS[name], command)
    if own:
        found["own"] = Peer(world, "own", OWN, own)
    return found


# ---- a run ----


def rss_mib(pid):
    """Most that it has had resident, with its children."""
    pids = [pid] + [int(p) for p in os.listdir("/proc") if p.isdigit() and parent_of(p) == pid]
    return sum(most_resident(p) for p in pids)


def parent_of(pid):
    try:
        return int(stat_fields(pid)[1])
    except (OSError, IndexError):
        return None


def most_resident(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0) / 1024
    except OSError:
        return 0


class Mark:
    """How far it is, when, and with how much CPU time."""

    def __init__(self, pid, servers, count):
        self.count, self.at = count, time.monotonic()
        self.cpu = {"own": tree_cpu_us(pid), **{name: sum(map(tree_cpu_us, pids)) for name, pids in servers.items()}}

    def since(self, start):
        records = self.count - start.count
        return {"records_s": records / (self.at - start.at),
                **{f"{name}_cpu_us": (self.cpu[name] - start.cpu[name]) / records for name in self.cpu}}


def measure(contender, pid, servers, total, seconds):
    """Figures of the window in which it applies 20 to 90 percent of `total` records. Of one that needs more than `seconds` until
    then: of these seconds, without their first third. Of one that is through before it is looked at: of all of it."""
    start, begun, is_first = Mark(pid, servers, 0), None, True
    while True:
        count, now = contender.applied(), time.monotonic()
        if begun is None and count == 0 and now - start.at > START_S:
            raise Fault(f"{contender.name}: nothing was applied in {START_S} s:\n{contender.said()}")
        if begun is None and count > 0:
            begun = now
        share = max(count / total, 0.9 * (now - begun) / seconds) if begun else 0
        if share >= 0.9 and count > start.count:
            return Mark(pid, servers, count).since(start)
        if begun and now - begun > seconds + STALL_S:
            raise Fault(f"{contender.name}: it stands still after {count} of {total} records:\n{contender.said()}")
        if is_first and share >= (0.2 if count >= 0.2 * total else 0.3):
            start, is_first = Mark(pid, servers, count), False
        time.sleep(0.05)


def wait_all(contender, total, seconds):
    """(records that are applied, all of them if they come within these seconds; are they all?)"""
    end = time.monotonic() + seconds
    while (count := contender.applied()) < total and time.monotonic() < end:
        time.sleep(0.05)
    return count, count >= total


def run(contender, number, begin, servers, total, seconds):
    """(figures, records that it says it has applied, whether these are all)"""
    pid = contender.start(number, begin)
    try:
        figures = measure(contender, pid, servers, total, seconds)
        rest_s = (total - contender.applied()) / figures["records_s"]
        count, is_all = wait_all(contender, total, 2 * rest_s + 2 if rest_s < seconds or contender.must_finish else 0)
        figures["rss_mib"] = rss_mib(pid)
        contender.stop()
        return figures, count, is_all
    except BaseException:
        contender.abandon()
        raise


# ---- what it has left ----


def check_counters(name, kind, found, count, is_all, total):
    """Raises a Fault if the counters are not as `count` applied records leave them."""
    if kind.counter == OVERWRITES:
        if found.counters != found.written:
            raise Fault(f"{name}: the counters of {found.written} rows that were set to 1 add up to {found.counters}")
    elif not (found.counters == total if is_all else count <= found.counters <= total):
        raise Fault(f"{name}: it has applied {count} of {total} records, and the counters add up to {found.counters}")


def check_same(name, found, of_leat):
    """Raises a Fault if, with all records applied, its rows are others than leat's in anything but their counters."""
    if found._replace(counters=0) != of_leat._replace(counters=0):
        raise Fault(f"{name}: its rows are not those that leat has left: {found}, {of_leat}")
