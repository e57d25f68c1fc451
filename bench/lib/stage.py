"""A stage for benchmarks: a topic, shards with the subscriptions table, leat configured on them."""

import json
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from measure import CEILING, LEAT, LOAD, Meter, builds, check_program, progress, stat_fields

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

    @cached_property
    def servers(self):
        """Process ids: (of the shards' postmasters, of this checkout's brokers)."""
        status = subprocess.run([harness.ROOT / "scripts" / "kafka", "status"], capture_output=True, text=True).stdout
        brokers = re.findall(r"up on port \d+, process (\d+)", status)
        return {postmaster_pid(self, shard) for shard in self.shard_names}, {int(pid) for pid in brokers}


def postmaster_pid(world, shard):
    with world.db(shard) as db:
        return int(stat_fields(db.execute("select pg_backend_pid()").fetchone()[0])[1])


@contextmanager
def stage(shards=1, partitions=8, connections=2, table_sql=TABLE, route=ROUTE, log_settings=None, leat=LEAT, **settings):
    for program in (leat, LOAD, CEILING):
        check_program(program)
    with tempfile.TemporaryDirectory(prefix="leat-bench-") as directory:
        world = Stage(directory, shards=shards, partitions=partitions, table_sql=table_sql, route=route, program=leat, **settings)
        for shard in world.settings["shards"]:
            shard["connections"] = connections
        world.settings["log"].update(log_settings or {})
        world.write_config()
        world.init()
        try:
            yield world
        finally:
            world.close()


@contextmanager
def stages(options, **settings):
    """{build: a stage} of the builds that are measured. Each has a topic and shards of its own, as two builds need not agree about
    what is in schema leat."""
    with ExitStack() as lasting:
        yield {build: lasting.enter_context(stage(leat=program, **settings)) for build, program in builds(options).items()}


def catalog(world):
    """The file that says which tables there are."""
    return f"{world.directory}/data/{world.name}.catalog.json"


def of_its_build(world, program):
    """The program of the same build as the world's leat, where there is one: builds need not agree about catalog or schema."""
    beside = world.program.parent / program.name
    return beside if beside.exists() else program


def load(world, records, *arguments, quiet=True):
    """Prefills the topic, straight through Kafka."""
    subprocess.run([of_its_build(world, LOAD), "--brokers", world.brokers, "--topic", world.name, "--catalog", catalog(world),
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
    done = subprocess.run([of_its_build(world, CEILING), "--dsn", world.dsns[shard], "--catalog", catalog(world),
                           *map(str, arguments)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def fill(world, keys, apps, warm_up, shard="a"):
    """Every key once, so that what follows are updates; then updates for `warm_up` seconds, as of a table in use."""
    ceiling(world, "--fill", "--keys", keys, "--apps", apps, "--batches", 4 * keys // 1000, shard=shard)
    with world.db(shard) as db:
        db.execute("vacuum analyze subscriptions")
        db.execute("checkpoint")
    ceiling(world, "--seconds", warm_up, "--keys", keys, "--apps", apps, shard=shard)  # each page once: no full-page images later


def drain(world, records, timeout=300):
    """Runs `leat apply` on what the topic holds; figures of the steady window, 20 to 90 percent of the records. Of all of them
    where there are too few for a window."""
    servers = world.servers
    process = world.start("apply")
    meter, window = Meter(process.pid, *servers), (0, 0, time.monotonic())
    first = wait_drained(world, process, 0.2 * records, timeout)
    if first[0] < 0.9 * records:
        meter.restart()
        window = first
    last = wait_drained(world, process, 0.9 * records, timeout)
    cpu = meter.per(last[0] - window[0])
    wait_drained(world, process, records, timeout)
    rss_mib = max_rss_mib(process.pid)
    batch = records / world.metric(process, "leat_batches_total")
    assert process.terminate() == 0
    applied, rows, seconds = (end - start for start, end in zip(window, last))
    progress(f"{world.program} apply: {applied / seconds:,.0f} records/s, {batch:.0f} records a batch, {cpu}")
    return {"rows_s": applied / seconds, "cpu": cpu, "rss_mib": rss_mib, "rows": rows / applied, "batch": batch}


def wait_drained(world, process, count, timeout):
    """(records applied, row writes, when), once so many are applied."""
    end = time.monotonic() + timeout
    while True:
        metrics, at = world.metrics(process), time.monotonic()
        applied, rows = (sum(value for sample, value in metrics.items() if sample.partition("{")[0] == name)
                         for name in ("leat_records_applied_total", "leat_rows_total"))
        if applied >= count:
            return applied, rows, at
        assert time.monotonic() < end, f"{applied} of {count} records applied in {timeout} s"
        time.sleep(0.05)


def deadlocks(world, shard="a"):
    with world.db(shard) as db:
        return db.execute("select deadlocks from pg_stat_database where datname = current_database()").fetchone()[0]


def max_rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def forget_max_rss(pid):
    """The kernel then counts from what the process has now."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
