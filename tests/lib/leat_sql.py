"""Talks to schema leat the way a worker does, and to a server the way a faulty client does."""
import contextlib
import os
import pathlib
import pwd
import shlex
import subprocess
import threading
import time

import psycopg
from psycopg import pq

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "src" / "sink" / "pg" / "schema.sql"
SUBPARTITIONS = 64
LOCK_TIMEOUT_MS = 20_000
LOCK_KEY = 1818583412  # # source: the first half of a partition's advisory lock
DEADLINE = 20.0


def server_dsn():
    """The server tests may make databases in: LEAT_TEST_DSN, else the first cluster of scripts/postgres (of the version in
    LEAT_PG_VERSION)."""
    if os.environ.get("LEAT_TEST_DSN"):
        return os.environ["LEAT_TEST_DSN"]
    script = ROOT / "scripts" / "postgres"
    found = subprocess.run([script, "env"], capture_output=True, text=True)
    if found.returncode != 0:
        subprocess.run([script, "up", "2"], check=True, stdout=subprocess.DEVNULL)
        found = subprocess.run([script, "env"], capture_output=True, text=True, check=True)
    values = dict(part.split("=", 1) for part in shlex.split(found.stdout))
    return values["PG_DSN_1"]


def eventually(condition, what):
    """Polls until `condition()` is true; its value is returned."""
    end = time.monotonic() + DEADLINE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)


class fails_with:
    """`with fails_with("LT001") as error:` - the block must fail with that SQLSTATE; error.diag has the rest."""

    def __init__(self, sqlstate):
        self.sqlstate, self.diag = sqlstate, None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert error is None or isinstance(error, psycopg.Error), f"{kind}: {error}"
        assert error is not None, f"no error, expected {self.sqlstate}"
        assert error.sqlstate == self.sqlstate, f"{error.sqlstate}: {error}"
        self.diag = error.diag
        return True


class Later:
    """A call that runs in a thread of its own, because it is expected to wait."""

    def __init__(self, call):
        self._value = self._error = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        try:
            self._value = call()
        except BaseException as error:  # given to the caller that asks for the result
            self._error = error

    def done(self):
        return not self._thread.is_alive()

    def result(self):
        self._thread.join(DEADLINE)
        assert self.done(), "the call still waits"
        if self._error:
            raise self._error
        return self._value


class Claim:
    def __init__(self, row, rows, parked):
        self.token, self.epoch, self.base_seq, self.base_offsets, self.low, *self.newest = row
        self.rows = rows
        self.parked = parked  # of each subpartition: itself, first offset, done, last offset, chunks, records, bytes, oldest_ms

    def seqs(self):
        return [row[0] for row in self.rows]

    def next_seq(self):
        return max([self.base_seq, *self.seqs()]) + 1


def advance_sql():
    return "SELECT leat.advance(%s, %s, %s, %s, %s::smallint[], %s::bigint[], %s, %s, %s::bigint[], %s)"


def advance_args(claim, seq, moved=None, needs=(), partition=0, source=1, newest_at_ms=0, newest_epoch=-1,
                 lock_timeout_ms=LOCK_TIMEOUT_MS):
    moved = {0: seq} if moved is None else moved
    return (source, partition, claim.token, seq, list(moved), list(moved.values()), newest_at_ms, newest_epoch,
            list(needs), lock_timeout_ms)


class Session:
    """One connection, in autocommit: each statement outside `with session.transaction()` is a transaction of its own."""

    def __init__(self, dsn, application_name="leat test"):
        self.connection = psycopg.connect(dsn, autocommit=True, application_name=application_name)
        self.connection.prepare_threshold = None
        self.pid = self.connection.info.backend_pid

    def run(self, sql, *args):
        cursor = self.connection.execute(sql, args or None)
        return cursor.fetchall() if cursor.description else None

    def value(self, sql, *args):
        return self.run(sql, *args)[0][0]

    def transaction(self):
        return self.connection.transaction()

    def begin(self):
        self.run("BEGIN")

    def commit(self):
        self.run("COMMIT")

    def rollback(self):
        self.run("ROLLBACK")

    def later(self, call, *args, **kwargs):
        return Later(lambda: call(*args, **kwargs))

    def claim(self, partition=0, source=1, lock_timeout_ms=LOCK_TIMEOUT_MS):
        with self.transaction():
            (row,) = self.run("SELECT * FROM leat.take(%s, %s, %s)", source, partition, lock_timeout_ms)
            rows = self.run("SELECT seq, subpartitions, offsets FROM leat.rows(%s, %s)", source, partition)
            parked = self.run("SELECT * FROM leat.parked_totals(%s, %s)", source, partition)
        return Claim(row, rows, parked)

    def advance(self, claim, seq, **kwargs):
        self.run(advance_sql(), *advance_args(claim, seq, **kwargs))

    def hit(self, key=0):
        """The row write of a batch: once too often or too rarely shows."""
        self.run("UPDATE hits SET n = n + 1 WHERE k = %s", key)

    def batch(self, claim, seq, key=0, **kwargs):
        with self.transaction():
            self.advance(claim, seq, **kwargs)
            self.hit(key)

    def put_chunk(self, first, last, subpartition=0, records=None, oldest_ms=0, chunk=b"chunk", partition=0, source=1):
        """The part of a park after its advance."""
        self.run("SELECT leat.park(%s, %s, %s::smallint, %s, %s, %s, %s, 1, %s)", source, partition, subpartition, first, last,
                 last - first + 1 if records is None else records, oldest_ms, chunk)

    def park(self, claim, seq, first, last, subpartition=0, needs=(), partition=0, chunk=b"chunk", **kwargs):
        with self.transaction():
            self.advance(claim, seq, moved={subpartition: last}, needs=needs, partition=partition)
            self.put_chunk(first, last, subpartition, partition=partition, chunk=chunk, **kwargs)

    def load(self, claim, above=-1, subpartition=0, partition=0, source=1):
        """(first offset, last offset, done, records, codec, bytes) of the next chunk, or None."""
        rows = self.run("SELECT * FROM leat.load(%s, %s, %s, %s::smallint, %s)", source, partition, claim.token, subpartition,
                        above)
        return rows[0] if rows else None

    def empty_chunks(self, steps, subpartition=0, done_after=None, records_after=0, partition=0, source=1):
        """The part of an unpark between its advance and its rows; `steps` are chunks as they were read: (first, last, done).
        The last one is emptied up to `done_after`."""
        first, last, done = (list(column) for column in zip(*steps))
        self.run("SELECT leat.unpark(%s, %s, %s::smallint, %s::bigint[], %s::bigint[], %s::bigint[], %s, %s)", source, partition,
                 subpartition, first, last, done, last[-1] if done_after is None else done_after, records_after)

    def unpark(self, claim, seq, steps, needs=(), partition=0, key=0, moved=(), **kwargs):
        with self.transaction():
            self.advance(claim, seq, moved=dict(moved), needs=needs, partition=partition)
            self.empty_chunks(steps, partition=partition, **kwargs)
            self.hit(key)

    def compact(self, claim, base_seq, offset=None, needs=(), partition=0, source=1, low=0, newest=-1,
                newest_at_ms=0, newest_epoch=-1, lock_timeout_ms=LOCK_TIMEOUT_MS):
        offsets = [base_seq if offset is None else offset] + [-1] * (SUBPARTITIONS - 1)
        self.run("SELECT leat.compact(%s, %s, %s, %s, %s::bigint[], %s, %s, %s, %s, %s::bigint[], %s)", source,
                 partition, claim.token, base_seq, offsets, low, newest, newest_at_ms, newest_epoch, list(needs), lock_timeout_ms)

    def terminate_holders(self, partition=0, source=1):
        return self.value("SELECT leat.terminate_holders(%s, %s)", source, partition)

    def close(self):
        self.connection.close()


def owner_with_batches(shard, last):
    """A session that has claimed partition 0 and applied batches 1 to `last`, and its claim."""
    session = shard.session()
    claim = session.claim()
    for seq in range(1, last + 1):
        session.batch(claim, seq)
    return session, claim


class Pipe:
    """A pipeline whose bytes go out when the test sends them, and whose Sync may never come."""

    def __init__(self, dsn, application_name="leat test", answers=True):
        """With `answers` each statement's result comes at once, else only after the Sync, as a worker's do."""
        self.pgconn = pq.PGconn.connect(f"{dsn} application_name='{application_name}'".encode())
        assert self.pgconn.status == pq.ConnStatus.OK, self.pgconn.error_message
        self.pid = self.pgconn.backend_pid
        self.pgconn.enter_pipeline_mode()
        self.answers = answers

    def send(self, sql, *args):
        values = [self._text(value) for value in args]
        self.pgconn.send_query_params(sql.encode(), values)
        if self.answers:
            self.pgconn.send_flush_request()
        self.pgconn.flush()

    def advance(self, claim, seq, **kwargs):
        places = "$1, $2, $3, $4, $5::smallint[], $6::bigint[], $7::bigint, $8::int, $9::bigint[], $10"
        self.send(f"SELECT leat.advance({places})", *advance_args(claim, seq, **kwargs))

    def hit(self, key=0):
        self.send("UPDATE hits SET n = n + 1 WHERE k = $1", key)

    def sync(self):
        self.pgconn.pipeline_sync()
        self.pgconn.flush()

    def result(self):
        """The next statement's outcome: None, or its SQLSTATE; 'aborted' after an error, 'sync' at the end."""
        result = self.pgconn.get_result()
        status = result.status
        if status == pq.ExecStatus.PIPELINE_SYNC:
            return "sync"
        assert self.pgconn.get_result() is None
        if status == pq.ExecStatus.PIPELINE_ABORTED:
            return "aborted"
        if status == pq.ExecStatus.FATAL_ERROR:
            state = result.error_field(pq.DiagnosticField.SQLSTATE)
            return state.decode() if state else "lost"
        return None

    def close(self):
        self.pgconn.finish()

    @staticmethod
    def _text(value):
        if isinstance(value, list):
            return ("{" + ",".join(map(str, value)) + "}").encode()
        return str(value).encode()


class Shard:
    """A database with schema leat, one source (id 1), partitions 0 and 1, and the table hits."""

    def __init__(self, dsn):
        self.dsn = dsn
        self._open = []
        self.observer = self.session("observer")

    def session(self, application_name="leat test"):
        return self._keep(Session(self.dsn, application_name))

    def pipe(self, **kwargs):
        return self._keep(Pipe(self.dsn, **kwargs))

    def _keep(self, connection):
        self._open.append(connection)
        return connection

    def until_waiting(self, session, event_type="Lock", event=None):
        """Returns once the server shows that the session waits."""
        def waits():
            rows = self.observer.run("SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s AND"
                                     " state = 'active'", session.pid)
            return rows and rows[0][0] == event_type and event in (None, rows[0][1])
        eventually(waits, f"session {session.pid} waits for {event_type} {event or ''}")

    def until_gone(self, session):
        eventually(lambda: not self.observer.run("SELECT FROM pg_stat_activity WHERE pid = %s", session.pid),
                   f"session {session.pid} ends")

    def hits(self, key=0):
        return self.observer.value("SELECT n FROM hits WHERE k = %s", key)

    def seqs(self, partition=0):
        return [row[0] for row in self.observer.run("SELECT seq FROM leat.rows(1, %s)", partition)]

    def chunks(self, partition=0, subpartition=0):
        """(first offset, last offset, done, records) of each chunk."""
        return self.observer.run("SELECT first_offset, last_offset, done, records FROM leat.parked WHERE source = 1 AND partition = %s"
                                 " AND subpartition = %s ORDER BY first_offset", partition, subpartition)

    def partition(self, partition=0):
        return self.observer.run("SELECT claim, epoch, base_seq, base_offsets[1], low, newest_at_ms FROM leat.partitions"
                                 " WHERE source = 1 AND partition = %s", partition)[0]

    def save(self):
        """The state a standby may have: give it to `fail_over` to lose all that was committed since."""
        return {table: self.observer.run(f"SELECT * FROM {table}") for table in
                ("leat.partitions", "leat.progress", "leat.parked", "leat.held", "leat.parked_keys", "leat.dead_letters",
                 "leat.idempotency", "hits")}

    def fail_over(self, state):
        with self.observer.transaction():
            for table in reversed(state):
                self.observer.run(f"DELETE FROM {table}")
            for table, rows in state.items():
                for row in rows:
                    places = ", ".join(["%s"] * len(row))
                    self.observer.run(f"INSERT INTO {table} VALUES ({places})", *row)

    def close(self):
        for connection in self._open:
            with contextlib.suppress(Exception):
                connection.close()


def load(dsn):
    """Schema leat and a Shard's other tables."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.read_text())
        connection.execute("INSERT INTO leat.sources (log_identity, topic, topic_id, layout, subpartitions, hash)"
                           " VALUES ('log', 'writes', 'topic-id', '{}', %s, 'xxh3-64')", [SUBPARTITIONS])
        connection.execute("INSERT INTO leat.partitions (source, partition, base_offsets)"
                           " SELECT 1, p, array_fill(-1::bigint, ARRAY[%s::int]) FROM generate_series(0, 1) AS p", [SUBPARTITIONS])
        connection.execute("CREATE TABLE hits (k int PRIMARY KEY, n int NOT NULL)")
        connection.execute("INSERT INTO hits SELECT k, 0 FROM generate_series(0, 99) AS k")


def programs():
    """The folder with initdb and pg_ctl of the version that is tested."""
    with psycopg.connect(server_dsn(), autocommit=True) as connection:
        return pathlib.Path(connection.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'").fetchone()[0])


class Cluster:
    """A server of the test's own, for settings that would disturb others. Listens on a socket only."""

    def __init__(self, directory, settings=()):
        self.directory = pathlib.Path(directory)
        if os.geteuid() == 0:
            os.chown(self.directory, pwd.getpwnam("postgres").pw_uid, -1)
            for parent in self.directory.parents:  # pytest makes its directories for the owner only
                if parent.stat().st_uid == 0 and str(parent) not in ("/", "/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._programs = programs()
        self._tool("initdb", "-D", self._data(), "-U", "leat", "-A", "trust", "-N")
        self._options = " ".join(f"-c {setting}" for setting in (
            "listen_addresses=''", f"unix_socket_directories='{self.directory}'", *settings))
        self._start()
        self.dsn = f"host={self.directory} user=leat dbname=postgres"

    def _start(self):
        self._tool("pg_ctl", "-D", self._data(), "-o", self._options, "-l", f"{self.directory}/log", "-w", "start")

    def stop(self, mode="immediate"):
        self._tool("pg_ctl", "-D", self._data(), "-m", mode, "-w", "stop")

    def signal(self, number):
        """To each of its processes."""
        postmaster = (self.directory / "data" / "postmaster.pid").read_text().split()[0]
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for pid in (postmaster, *children):
            os.kill(int(pid), number)

    def use_up_transaction_ids(self, left):
        """Only so many are left before the stop limit, which is 3,000,000 before the oldest one would come again. Their segment of
        pg_xact has to be there."""
        with psycopg.connect(self.dsn) as db:
            oldest = int(db.execute("select min(datfrozenxid::text::bigint) from pg_database").fetchone()[0])
        self.stop("fast")
        following = oldest + 2**31 - 1 - 3_000_000 - left
        self._tool("pg_resetwal", "-x", str(following), self._data())
        path = self.directory / "data" / "pg_xact" / f"{following // (8192 * 4 * 32):04X}"
        path.write_bytes(bytes(262144))
        os.chown(path, (self.directory / "data").stat().st_uid, -1)
        self._start()

    def _data(self):
        return str(self.directory / "data")

    def _tool(self, name, *args):
        command = [str(self._programs / name), *args]
        if os.geteuid() == 0:
            group = str(pwd.getpwnam("postgres").pw_gid)
            command = ["setpriv", "--reuid=postgres", f"--regid={group}", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")
