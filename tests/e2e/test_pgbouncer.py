"""Behind real PgBouncers: that of Debian 12 (1.18, which keeps no prepared statements) and that of Debian 13, in each mode.

A pooler lends its server sessions, a transaction at a time, to whoever comes: what one has left there, another finds. What
shows is one thing: every column of every row is what the accepted writes add up to.
"""

import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from lib.harness import script, wait_until
from lib.orphans import CHILD_ROUTE, CHILDREN_SQL, Orphans

COLUMNS = "abcdef"
TABLES = ("firsts", "seconds", "thirds")
TABLE_SQL = "".join(
    f"create table {table} (app int, id int, " + ", ".join(f"{c} bigint not null default 0" for c in COLUMNS) +
    ", note text, primary key (app, id));" for table in TABLES)
ROUTES = [{"path": f"/apps/{{app}}/{table}/{{id}}", "table": table, "tenant": "app", "columns": {c: "add" for c in COLUMNS}}
          for table in TABLES]
SAID = "prepared statements do not last"
APPS = 6


class Pooler:
    """PgBouncer 1 of scripts/pgbouncer, before cluster 1."""

    def __init__(self, server, *options):
        self.server = server
        self.start(*options)

    def start(self, *options):
        """Also of one that runs: then it is stopped before."""
        self.options = options
        script("pgbouncer", "up", 1, "--to-port", port_of(self.server), *options)
        env = dict(line.split("=", 1) for line in script("pgbouncer", "env").splitlines())
        self.dsn = env["PGBOUNCER_DSN_1"].strip("'")

    def lead_to(self, server):
        options = self.options[2:] if self.options[0] == "--debian" else self.options
        script("pgbouncer", "reload", 1, "--to-port", port_of(server), *options)

    def admin(self, command):
        with psycopg.connect(self.dsn.replace("dbname=leat", "dbname=pgbouncer"), autocommit=True) as db:
            return run_simple(db, command)

    def log(self):
        status = script("pgbouncer", "status").splitlines()
        return Path(next(line for line in status if "PgBouncer 1 " in line).split(", ")[-1]).read_text(errors="replace")


def port_of(dsn):
    return psycopg.conninfo.conninfo_to_dict(dsn)["port"]


def run_simple(db, command):
    """The console understands simple queries only. [{column: value}]"""
    result = db.pgconn.exec_(command.encode())
    assert result.status in (psycopg.pq.ExecStatus.TUPLES_OK, psycopg.pq.ExecStatus.COMMAND_OK), result.error_message
    names = [result.fname(i).decode() for i in range(result.nfields)]
    return [{n: (result.get_value(r, i) or b"").decode() for i, n in enumerate(names)} for r in range(result.ntuples)]


@pytest.fixture
def make_pooled(make_world):
    """A world whose one shard is reached through PgBouncer 1 only; tests read it directly."""

    def make(*options, connections=4, subpartitions=256, **settings):
        settings = {"table_sql": TABLE_SQL, "routes": ROUTES, "catalog_every": "1s", **settings}
        world = make_world(**{"shards": 1, "partitions": 4, "workers": 2, **settings})
        world.pooler = Pooler(world.env["PG_DSN_1"], *options)
        world.settings["shards"][0].update(
            dsn=world.pooler.dsn.replace("dbname=leat", f"dbname={world.name}"), connections=connections)
        world.settings["log"]["subpartitions"] = subpartitions
        world.write_config()
        world.init()
        return world

    yield make
    script("pgbouncer", "down")


class Load:
    """Threads that add to random columns of random rows until they are stopped. `accepted` adds up the writes with a 202."""

    def __init__(self, world, edge, threads=4, writes=None, seed=7):
        self.url, self.writes, self.seed = world.url(edge), writes, seed
        self.tables, self.columns = list(TABLES), COLUMNS
        self.accepted, self.count, self.lock = Counter(), 0, threading.Lock()
        self.stopped = threading.Event()
        self.pool = ThreadPoolExecutor(threads)
        self.running = [self.pool.submit(self.run, n) for n in range(threads)]

    def run(self, number):
        chance = random.Random(self.seed * 100 + number)
        done = 0
        with httpx.Client(base_url=self.url, timeout=30) as http:
            while not self.stopped.is_set() and done != self.writes:
                row = (chance.choice(self.tables), chance.randrange(APPS), chance.randrange(8))
                body = {c: chance.randrange(1, 9) for c in chance.sample(self.columns, chance.choice((1, 1, 1, 2)))}
                answer = http.patch("/apps/{1}/{0}/{2}".format(*row), json=body)
                assert answer.status_code == 202, answer.text
                done += 1
                with self.lock:
                    self.count += 1
                    for column, value in body.items():
                        self.accepted[*row, column] += value

    def finish(self):
        self.stopped.set()
        return self.join()

    def join(self):
        for running in self.running:
            running.result()
        return self.accepted


def found(world, columns=COLUMNS, tables=TABLES):
    """{(table, app, id, column): value}, without zeros."""
    rows = Counter()
    for table in tables:
        for app, ident, *values in world.rows(f"select app, id, {', '.join(columns)} from {table}"):
            for column, value in zip(columns, values):
                rows[table, app, ident, column] = value
    return Counter({k: v for k, v in rows.items() if v})


def difference(world, accepted):
    rows = found(world)
    return {k: (rows[k], accepted[k]) for k in rows.keys() | accepted.keys() if rows[k] != accepted[k]}


def expect_applied(world, accepted, timeout=60):
    """Everything arrives, and nothing else ever did. A column of another name would never add up."""
    total = sum(accepted.values())
    wait_until(lambda: sum(found(world).values()) >= total, f"{total} in all", timeout, 0.2)
    assert difference(world, accepted) == {}
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]


MODES = [
    ("--debian", 12, "--pool-size", 1),
    ("--debian", 12, "--pool-size", 2),
    ("--debian", 12, "--pool-size", 10),
    ("--debian", 12, "--mode", "session"),
    ("--debian", 13, "--pool-size", 10, "--prepared", 0),
    ("--debian", 13, "--pool-size", 1, "--prepared", 100),
    ("--debian", 13, "--pool-size", 2, "--prepared", 3),
    ("--debian", 13, "--pool-size", 10, "--prepared", 100),
    ("--debian", 13, "--mode", "session"),
]


@pytest.mark.parametrize("options", MODES, ids=lambda options: " ".join(str(o).lstrip("-") for o in options))
def test_every_column_is_what_was_written(make_pooled, options):
    """Two `leat apply` of two workers each, whose statements differ, share the pool's sessions."""
    world = make_pooled(*options)
    edge = world.start("edge")
    appliers = [world.start("apply") for _ in range(2)]
    accepted = Load(world, edge, writes=120).join()
    expect_applied(world, accepted)
    keeps = "session" in options or ("--prepared" in options and options[-1] > 0)
    for process in appliers:
        assert not keeps or SAID not in process.text()
        assert process.text().count(SAID) <= 2  # workers
        assert process.terminate() == 0


def held_by(process):
    """The partitions of an applier, by its own report."""
    held = set()
    for word, number in re.findall(r"partition (assigned|revoked|lost)\b.*? shard=a partition=(\d+)", process.text()):
        (held.add if word == "assigned" else held.discard)(int(number))
    return held


@pytest.mark.parametrize("options", [("--debian", 12, "--pool-size", 2), ("--debian", 13, "--pool-size", 2, "--prepared", 0)],
                         ids=["1.18", "1.24"])
def test_a_session_that_another_has_prepared_in(make_pooled, options):
    """Two `leat apply` whose statements differ by their column only. A prepares in one session; while somebody has that one,
    B prepares in the other, and then A gets it. Whatever both call alike, A's write goes to A's column."""
    world = make_pooled(*options, workers=1, connections=1, routes=ROUTES[:1], catalog_every="1h")
    edge, accepted = world.start("edge"), Counter()
    with world.client(edge) as http:

        def write(app, column):
            answer = http.patch(f"/apps/{app}/firsts/1", json={column: 1})
            assert answer.status_code == 202
            accepted["firsts", app, 1, column] += 1
            wait_until(lambda: sum(found(world).values()) >= sum(accepted.values()), f"{column} of {app}")
            return answer.json()["partition"]

        first = world.start("apply")
        partitions = {app: write(app, "f") for app in range(APPS)}
        assert first.terminate() == 0
        world.pooler.start(*options)  # with sessions in which nobody has prepared yet
        appliers = [world.start("apply") for _ in range(2)]
        wait_until(lambda: all(len(held_by(p)) == 2 for p in appliers), "each to have two partitions")
        wait_until(lambda: all(world.metric(p, "leat_claims_total") >= 2 for p in appliers), "their claims")
        of_a, of_b = (next(a for a in range(APPS) if partitions[a] in held_by(p)) for p in appliers)
        for one, other in ("ab", "cd", "ea", "bc"):
            write(of_a, one)
            with psycopg.connect(world.settings["shards"][0]["dsn"]) as holder:
                holder.execute("select 1", prepare=False)  # the session released last, for as long as the block
                write(of_b, other)
                write(of_a, one)
    assert difference(world, accepted) == {}


@pytest.mark.parametrize("options", [("--debian", 12, "--pool-size", 3), ("--debian", 13, "--pool-size", 3, "--prepared", 100)],
                         ids=["1.18", "1.24"])
def test_the_table_changes_and_the_pooler_goes_under_load(make_pooled, options):
    """Columns and a type of the same name come and go, sessions are exchanged, the pooler pauses and restarts."""
    world = make_pooled(*options)
    with world.db("a") as db:
        db.execute("create type mood as enum ('x', 'y'); alter table firsts add mood mood")
    edge = world.start("edge")
    appliers = [world.start("apply") for _ in range(2)]
    load = Load(world, edge)

    def goes_on(what):
        count = load.count
        wait_until(lambda: load.count > count + 30, f"writes after {what}")
        total = sum(load.accepted.values())
        wait_until(lambda: sum(found(world).values()) >= total, f"{what}: {total} in all", 60, 0.2)

    try:
        goes_on("the start")
        for sql in ("alter table firsts add extra text default 'e'", "alter table firsts alter a type numeric",
                    "alter table seconds drop column note",
                    "alter table firsts drop column mood; drop type mood; create type mood as enum ('y', 'z');"
                    " alter table firsts add mood mood"):
            with world.db("a") as db:
                db.execute(sql)
            goes_on(sql)
        world.pooler.admin("RECONNECT")
        goes_on("RECONNECT")
        world.pooler.admin("PAUSE")
        time.sleep(1)
        world.pooler.admin("RESUME")
        goes_on("PAUSE")
        world.pooler.start(*options)
        goes_on("a restart")
    finally:
        accepted = load.finish()
    expect_applied(world, accepted)
    assert all(p.alive() for p in appliers)


def test_a_type_of_the_same_name(make_pooled):
    """PgBouncer keeps a prepared statement by its text, with the types its parameters had then, whatever it is called anew:
    an enum that is dropped and made again must not meet the old one, so no parameter is of such a type."""
    world = make_pooled("--debian", 13, "--pool-size", 1, "--prepared", 100, catalog_every="300ms")
    with world.db("a") as db:
        db.execute("create type mood as enum ('x', 'y'); alter table firsts add mood mood")
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        assert http.patch("/apps/1/firsts/1", json={"mood": "x"}).status_code == 202
        wait_until(lambda: world.rows("select mood::text from firsts") == [("x",)], "x")
        with world.db("a") as db:
            db.execute("begin; alter table firsts drop column mood; drop type mood; create type mood as enum ('y', 'z');"
                       " alter table firsts add mood mood; commit")
        wait_until(lambda: http.patch("/apps/1/firsts/1", json={"mood": "z"}).status_code == 202, "the new type to be known")
        wait_until(lambda: world.rows("select mood::text from firsts") == [("z",)], "z")
    assert "not_understood" not in apply.text() and "not understood" not in apply.text()


def test_a_wait_for_a_session_that_ends_is_an_outage(make_pooled):
    """query_wait_timeout: every session of the pool is taken, PgBouncer ends the connection that waits. Nothing is given up,
    and all is applied, once, when there is a session again."""
    world = make_pooled("--debian", 12, "--pool-size", 1, "--set", "query_wait_timeout=1", connections=2)
    edge, apply = world.start("edge"), world.start("apply")
    accepted = Load(world, edge, writes=10).join()
    expect_applied(world, accepted)
    with psycopg.connect(world.settings["shards"][0]["dsn"]) as taker:
        taker.execute("select 1")  # and the transaction stays open
        more = Load(world, edge, writes=10, seed=8).join()
        apply.wait_for("query_wait_timeout")
    accepted.update(more)
    expect_applied(world, accepted)


def test_a_pooled_session_keeps_the_name_of_one_who_is_gone(make_pooled):
    """Who is at work cannot be told by the names of sessions: `leat status` goes by what processes say, and a consumer group is
    not refused for ever because of one that has ended."""
    world = make_pooled("--debian", 12, "--pool-size", 1, workers=1)
    edge, apply = world.start("edge"), world.start("apply")
    accepted = Load(world, edge, writes=10).join()
    expect_applied(world, accepted)
    assert apply.terminate() == 0
    world.settings["log"]["kafka"]["group"] = world.name + "-2"
    world.write_config()
    other = wait_until(lambda: starts(world), "the other group to be let in", 60)
    accepted += Load(world, edge, writes=10, seed=8).join()
    expect_applied(world, accepted)
    assert world.leat("status").returncode == 0
    assert other.terminate() == 0
    Load(world, edge, threads=1, writes=1).join()
    done = world.leat("status")
    assert done.returncode == 3 and "behind a pooler" in done.stdout and "nobody applies them" in done.stdout, done.stdout


def starts(world):
    process = world.start("apply", wait=False)
    wait_until(lambda: not process.alive() or "leat is up command=apply" in process.text(), "an end or a start")
    return process if process.alive() else None


def test_what_a_pooler_does_not_take_is_said(make_pooled):
    """Statement pooling, and parameters in the dsn that PgBouncer does not know: refused, with the remedy."""
    world = make_pooled("--debian", 12)
    world.settings["shards"][0]["dsn"] += " options='-c statement_timeout=5s'"
    world.write_config()
    done = world.leat("check")
    assert done.returncode == 3 and "unsupported startup parameter" in done.stdout and "ALTER ROLE" in done.stdout, done.stdout
    world.settings["shards"][0]["dsn"] = world.settings["shards"][0]["dsn"].partition(" options")[0]
    world.write_config()
    world.pooler.start("--debian", 12, "--mode", "statement")
    done = world.leat("check")
    assert done.returncode == 3 and "leat needs pool_mode=transaction or session" in done.stdout, done.stdout
    assert "unexpectedly" not in done.stdout
    shutil.rmtree(world.directory / "data")  # without the result of an earlier read
    process = world.start("apply", wait=False)
    process.wait_for("leat needs pool_mode=transaction or session")
    assert "leat is up command=apply" not in process.text()


@pytest.mark.parametrize("release", [12, 13])
def test_a_look_costs_the_pooler_no_session(make_pooled, release):
    """Looks end their transactions before they go: PgBouncer closes the session of a client that left within one."""
    world = make_pooled("--debian", release, "--pool-size", 2)
    edge, apply = world.start("edge"), world.start("apply")
    accepted = Load(world, edge, writes=20).join()
    expect_applied(world, accepted)
    logins = lambda: world.pooler.log().count("new connection to server")
    before = logins()
    for command in (["check"], ["status"], ["lag"], ["dead", "list"]):
        done = world.leat(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    looks = world.pooler.log().count("login attempt")
    wait_until(lambda: world.pooler.log().count("login attempt") > looks + 3, "leat's own looks at the tables")
    with world.db("a") as db:
        db.execute("alter table firsts rename to away")
    assert world.leat("check").returncode == 3  # a read that fails within its transaction
    with world.db("a") as db:
        db.execute("alter table away rename to firsts")
    log = world.pooler.log()
    assert "while server was not ready" not in log and "client disconnect while" not in log
    assert logins() <= before + 1  # the second of the pool may be opened any time


# --- another server behind it --------------------------------------------------------------------------------------


class Standby:
    """A streaming standby of cluster 1."""

    def __init__(self, primary):
        self.primary = primary
        with psycopg.connect(primary) as db:
            self.bin = Path(db.execute("select setting from pg_config where name = 'BINDIR'").fetchone()[0])
            server = Path(f"/proc/{db.execute('select pg_backend_pid()').fetchone()[0]}").stat()
        self.as_server = {"user": server.st_uid, "group": server.st_gid, "extra_groups": []} if server.st_uid else {}
        self.home = Path(tempfile.mkdtemp(prefix="leat-standby-", dir="/var/tmp"))
        shutil.chown(self.home, server.st_uid, server.st_gid)
        self.port = int(port_of(primary)) + 90
        self.dsn = f"host=127.0.0.1 port={self.port} user=dev dbname=leat"
        self.run("pg_basebackup", "-d", primary.replace("dbname=leat", ""), "-D", self.home / "data", "-R", "-c", "fast", "-X", "stream")
        with open(self.home / "data" / "postgresql.auto.conf", "a") as settings:
            settings.write(f"port = {self.port}\nunix_socket_directories = ''\n")
        self.run("pg_ctl", "start", "-s", "-w", "-D", self.home / "data", "-l", self.home / "log",
                 "-o", f"-c port={self.port} -c unix_socket_directories= -c cluster_name=leat-standby")

    def run(self, program, *arguments):
        subprocess.run([self.bin / program, *map(str, arguments)], check=True, cwd="/", stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, **self.as_server)

    def sql(self, text, dsn=None):
        with psycopg.connect(dsn or self.dsn, autocommit=True) as db:
            cursor = db.execute(text)
            return cursor.fetchall() if cursor.description else None

    def catch_up(self):
        at = self.sql("select pg_current_wal_lsn()::text", self.primary)[0][0]
        wait_until(lambda: self.sql(f"select pg_last_wal_replay_lsn() >= '{at}'::pg_lsn") == [(True,)], "the standby to follow")

    def hear_no_more(self):
        self.sql("alter system set primary_conninfo = ''")
        self.sql("select pg_reload_conf()")
        wait_until(lambda: self.sql("select count(*) from pg_stat_wal_receiver") == [(0,)], "replication to end")

    def close(self):
        self.run("pg_ctl", "stop", "-s", "-m", "immediate", "-D", self.home / "data")
        shutil.rmtree(self.home)


@pytest.mark.parametrize("options", [("--debian", 12), ("--debian", 13, "--prepared", 100)], ids=["1.18", "1.24"])
def test_a_failover_behind_the_pooler_is_met_without_a_write(make_pooled, options):
    """Acknowledged writes that the standby lacks, then silence, then the pooler leads to the standby, which was promoted; our
    connections stay. The lost writes are applied there again within seconds, though nothing new comes."""
    world = make_pooled(*options)
    edge, apply = world.start("edge"), world.start("apply")
    first = Load(world, edge, writes=20).join()
    expect_applied(world, first)
    standby = Standby(world.env["PG_DSN_1"])
    try:
        standby.catch_up()
        standby.hear_no_more()
        accepted = first + Load(world, edge, writes=100, seed=8).join()
        expect_applied(world, accepted)
        wait_until(lambda: world.rows("select count(*) from leat.progress") == [(0,)], "silence: the last compactions")
        standby.sql("select pg_promote()")
        world.pooler.lead_to(standby.dsn)
        primary, world.store.dsns["a"] = world.store.dsns["a"], standby.dsn.replace("dbname=leat", f"dbname={world.name}")
        try:
            assert difference(world, first) == {}, "the standby has the later writes: nothing was lost"
            expect_applied(world, accepted, timeout=25)
        finally:
            world.store.dsns["a"] = primary
        assert "another server answers" in apply.text()
        assert apply.terminate() == 0
    finally:
        script("pgbouncer", "stop", 1)
        standby.close()


def test_a_failover_behind_the_pooler_loses_nothing_that_is_parked(make_pooled):
    """Thousands of chunks wait. The standby has half of them; it lacks what was parked and applied later, takes over, and the worker is
    killed. What was parked is there again, each record once."""
    world = make_pooled("--debian", 13, "--prepared", 100, table_sql=f"{TABLE_SQL} {CHILDREN_SQL}", routes=[*ROUTES, CHILD_ROUTE],
                        subpartitions=1024, apply={"compact_every": "200ms", "patience": "1h"})
    edge, apply = world.start("edge"), world.start("apply")
    load, orphans = Load(world, edge), Orphans(world)  # nothing is parked where nobody else is applied
    orphans.write()
    standby, primary = Standby(world.env["PG_DSN_1"]), world.store.dsns["a"]
    try:
        standby.catch_up()
        standby.hear_no_more()
        orphans.write()
        standby.sql("select pg_promote()")
        there = standby.dsn.replace("dbname=leat", f"dbname={world.name}")
        assert orphans.LEAST <= standby.sql("select count(*) from leat.parked", there)[0][0] < 2 * orphans.LEAST
        world.pooler.lead_to(standby.dsn)
        world.store.dsns["a"] = there
        orphans.wait_for(2 * orphans.LEAST)  # what was lost is parked again
        apply.kill()
        apply = world.start("apply")
        accepted = load.finish()
        orphans.expect_all()
        expect_applied(world, accepted)
        assert apply.terminate() == 0
    finally:
        load.stopped.set()
        world.store.dsns["a"] = primary
        script("pgbouncer", "stop", 1)
        standby.close()
