"""A stage for benchmarks: a topic, shards with the subscriptions table, leat configured on them."""

import json
import re
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from measure import CEILING, LEAT, LOAD, Meter, check_program, progress, stat_fields

from lib import harness

TABLE = """
create table subscriptions (
    app_id uuid, subscription_id uuid, properties jsonb, last_active timestamptz,
    session_count int not null default 0, history jsonb not null default '[]',
    primary key (app_id, subscription_id)) with (fillfactor = 90)
"""
ROUTE = {**harness.SUBSCRIPTIONS_ROUTE, "columns": {"session_count": "add"}}


class Stage(harness.World):
    """A World whose processes are what a benchmark may measure."""

    def start(self, command, **options):
        process = super().start(command, **options)
        check_program(Path(f"/proc/{process.pid}/exe").resolve())
        return process


@contextmanager
def stage(shards=1, partitions=8, connections=2, table_sql=TABLE, route=ROUTE, **settings):
    for program in (LEAT, LOAD, CEILING):
        check_program(program)
    with tempfile.TemporaryDirectory(prefix="leat-bench-") as directory:
        world = Stage(directory, shards=shards, partitions=partitions, table_sql=table_sql, route=route, program=LEAT, **settings)
        for shard in world.settings["shards"]:
            shard["connections"] = connections
        world.write_config()
        world.init()
        try:
            yield world
        finally:
            world.close()


def postmaster_pid(world, shard):
    with world.db(shard) as db:
        return int(stat_fields(db.execute("select pg_backend_pid()").fetchone()[0])[1])


def meter(world, process):
    """Of a process, the servers of the shards, and this checkout's brokers."""
    status = subprocess.run([harness.ROOT / "scripts" / "kafka", "status"], capture_output=True, text=True).stdout
    brokers = re.findall(r"up on port \d+, process (\d+)", status)
    return Meter(process.pid, {postmaster_pid(world, shard) for shard in world.shard_names}, [int(pid) for pid in brokers])


def load(world, records, *arguments, quiet=True):
    """Prefills the topic, straight through Kafka."""
    subprocess.run([LOAD, "--brokers", world.brokers, "--topic", world.name, "--catalog", f"{world.directory}/data/{world.name}.catalog.json",
                    "--records", str(records), *map(str, arguments), *(["--quiet"] if quiet else [])], check=True)


def wait_applied(world, process, timeout=300):
    """Until all that is in the topic now is applied or a dead letter: by one process that has read it from its beginning."""
    consumer = Consumer({"bootstrap.servers": world.brokers, "group.id": world.name + "-bench"})
    partitions = consumer.list_topics(world.name, timeout=30).topics[world.name].partitions
    count = sum(consumer.get_watermark_offsets(TopicPartition(world.name, p), timeout=30)[1] for p in partitions)
    consumer.close()
    end = time.monotonic() + timeout
    while (done := world.metric(process, "leat_records_applied_total") + world.metric(process, "leat_dead_letters_total")) < count:
        assert time.monotonic() < end, f"{done} of {count} records applied in {timeout} s"
        time.sleep(0.02)


def ceiling(world, *arguments, shard="a"):
    done = subprocess.run([CEILING, "--dsn", world.dsns[shard], "--catalog", f"{world.directory}/data/{world.name}.catalog.json",
                           *map(str, arguments)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def fill(world, keys, apps, shard="a"):
    """Every key once, so that what follows are updates; then the table is as a table in use is."""
    ceiling(world, "--fill", "--keys", keys, "--apps", apps, "--batches", 4 * keys // 1000, shard=shard)
    with world.db(shard) as db:
        db.execute("vacuum analyze subscriptions")
        db.execute("checkpoint")
    ceiling(world, "--seconds", 4, "--keys", keys, "--apps", apps, shard=shard)  # each page once: no full-page images later


def drain(world, records, timeout=300):
    """Runs `leat apply` on what the topic holds; figures of the steady window, 20 to 90 percent of the records."""
    process = world.start("apply")
    name = "leat_records_applied_total"
    before = world.metric(process, name)

    def wait_for(count):
        end = time.monotonic() + timeout
        while True:
            now = world.metric(process, name) - before
            if now >= count:
                return now, time.monotonic()
            assert time.monotonic() < end, f"{now} of {records} records applied in {timeout} s"
            time.sleep(0.05)

    first, started = wait_for(0.2 * records)
    used = meter(world, process)
    rows = world.metric(process, "leat_rows_total")
    last, ended = wait_for(0.9 * records)
    rows = world.metric(process, "leat_rows_total") - rows
    cpu = used.per(last - first)
    wait_for(records)
    rss_mib = max_rss_mib(process.pid)
    batches = world.metric(process, "leat_batches_total")
    assert process.terminate() == 0
    progress(f"leat apply: {(last - first) / (ended - started):,.0f} records/s, {records / batches:.0f} records a batch, {cpu}")
    return {"rows_s": (last - first) / (ended - started), "cpu": cpu, "rss_mib": rss_mib, "rows": rows / (last - first)}


def deadlocks(world, shard="a"):
    with world.db(shard) as db:
        return db.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()[0]


def max_rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
