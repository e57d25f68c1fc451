"""Starts leat as its users do, on a real Kafka and real PostgreSQL clusters or on the built-in log and SQLite files, and
reads back the results.

Every test gets a World: a log, a database for each shard and a directory of its own (backends.py). Nothing here sleeps
for luck: `wait_until` polls for the event and reports what is missing when it does not come.
"""

import copy
import json
import os
import shlex
import signal
import string
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import pytest
import yaml

from lib.backends import LOGS, STORES

ROOT = Path(__file__).resolve().parents[2]
LEAT = Path(os.environ.get("LEAT_BIN", ROOT / "build" / "debug" / "leat"))
POWERCUT = LEAT.parent / "tests" / "leat-powercut"
RELEASE = ROOT / "build" / "release" / "leat"
LOAD = Path(os.environ.get("LEAT_LOAD_BIN", RELEASE.with_name("leat-load")))

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

# A test that holds for both: on Kafka and PostgreSQL, and on the built-in log and SQLite.
both = pytest.mark.parametrize("backend", ["servers", "built-in"], indirect=True)
# And with each log in front of each kind of shard.
any_mix = pytest.mark.parametrize("backend", ["servers", "built-in", "local and postgres", "kafka and sqlite"], indirect=True)


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
    """A leat process: its standard error goes to a file, its end is always checked."""

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
        """host:port out of "... http://host:port" (or https) in the line that has `words`."""
        self.wait_for(words)
        line = next(l for l in self.text().splitlines()[::-1] if words in l)
        return line.split("://")[1].split("/")[0].strip()

    def readiness(self, words="edge listens"):
        """(status, reason) of /readyz there; "admin listens" is the admin listener."""
        answer = httpx.get(f"http://{self.address(words)}/readyz", timeout=30)
        return answer.status_code, answer.json().get("reason", "")

    def clean(self):
        """No message of a sanitizer or a broken invariant."""
        text = self.text()
        for mark in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "broken invariant", "ThreadSanitizer"):
            assert mark not in text, f"{self.log_path.name}:\n{text[-6000:]}"


class World:
    """`log` is kafka or local, `store` postgres or sqlite; `table_sql` is the schema, or a schema for each store; `program` is
    the leat that commands and processes run."""

    def __init__(self, directory, log="kafka", store="postgres", shards=2, partitions=None, table_sql=SUBSCRIPTIONS,
                 route=SUBSCRIPTIONS_ROUTE, brokers=None, program=LEAT, **settings):
        self.directory = Path(directory)
        self.program = Path(program)
        self.env = environment()
        self.name = "t" + uuid.uuid4().hex[:12]
        self.log = LOGS[log](self.name, self.directory, self.env, **({"brokers": brokers} if brokers else {}))
        self.store = STORES[store](self.name, self.directory, self.env)
        self.is_one_process = log == "local"
        self.shard_names = list(string.ascii_lowercase[:shards])
        self.processes = []
        self.config_path = self.directory / "leat.yaml"
        for number, shard in enumerate(self.shard_names, 1):
            self.store.make(number, shard, table_sql[store] if isinstance(table_sql, dict) else table_sql)
        self.settings = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "data_dir": str(self.directory / "data"),
            "http": {"drain_delay": "0s"},
            "log": self.log.settings(partitions),
            "shards": [self.store.settings(s) for s in self.shard_names],
            "routes": [copy.deepcopy(route)],  # a test changes its own
        }
        for key, value in settings.items():
            self.settings[key] = {**self.settings.get(key, {}), **value} if isinstance(value, dict) else copy.deepcopy(value)
        self.write_config()

    # ---- set-up ----

    @property
    def brokers(self):
        return self.log.brokers

    @property
    def dsns(self):
        return self.store.dsns

    def write_config(self):
        self.config_path.write_text(yaml.safe_dump(self.settings, sort_keys=False))

    def close(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.clean()
        self.log.close()
        self.store.close()

    # ---- leat ----

    def leat(self, *arguments, timeout=120):
        """Runs a command to its end; returns the CompletedProcess."""
        return subprocess.run([str(self.program), *arguments, "--config", str(self.config_path)], capture_output=True, text=True,
                              timeout=timeout)

    def init(self):
        """Steps before leat is started: none, unless there is a server to prepare."""
        if self.is_one_process and self.store.kind == "sqlite":
            return ""
        done = self.leat("init")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, command, wait=True, program=None, env=None):
        """`program` is another leat than the world's. With the built-in log one process, `run`, is both edge and apply:
        whichever is asked for, it is the one that is up, or is started."""
        if self.is_one_process and command in ("edge", "apply"):
            live = [p for p in self.processes if p.alive()]
            return live[-1] if live else self.start("run", wait, program, env)
        number = len(self.processes)
        process = Process([program or self.program, command, "--config", self.config_path], self.directory / f"{command}-{number}.log", env)
        self.processes.append(process)
        if wait:
            process.wait_for(f"leat is up command={command}")
        return process

    def url(self, process):
        return "http://" + process.address("edge listens")

    def client(self, process):
        return httpx.Client(base_url=self.url(process), timeout=30)

    def metrics(self, process):
        """{'name{labels}': value} of the admin listener."""
        text = httpx.get(f"http://{process.address('admin listens')}/metrics", timeout=10).text
        lines = [l for l in text.splitlines() if l and not l.startswith("#")]
        return {l.rpartition(" ")[0]: float(l.rpartition(" ")[2]) for l in lines}

    def metric(self, process, name):
        """Sum over all labels."""
        return sum(v for k, v in self.metrics(process).items() if k.partition("{")[0] == name)

    # ---- reading back ----

    def db(self, shard):
        return self.store.connect(shard)

    def end_sessions(self, shard):
        """Of leat's, in a shard that is PostgreSQL."""
        with self.db(shard) as db:
            db.execute("select pg_terminate_backend(pid) from pg_stat_activity"
                       " where application_name like 'leat%' and datname = current_database()")

    def rows(self, sql, shards=None):
        """Of all shards, one after the other. leat's own tables are called leat.NAME, whatever the shard."""
        return [row for shard in shards or self.shard_names for row in self.store.query(shard, sql)]

    def source_id(self, shard="a"):
        return self.rows(f"select id from leat.sources where topic = '{self.name}'", [shard])[0][0]

    def log_records(self):
        """Everything in the log as (partition, offset, key, value, headers), partition by partition."""
        return self.log.records()

    def committed(self):
        return self.log.committed()

    def log_ends(self):
        """{partition: the offset after its last record}"""
        return self.log.ends()


def key_of(app, subscription):
    return f"/apps/{app}/subscriptions/{subscription}"


def as_json(value):
    return json.dumps(value, separators=(",", ":"))
