"""Each shard has a database of its own, and the one that was set up for it: two that are one, or swapped, are refused by
init, check and at start, and nothing is written to either."""

import os
import re

import psycopg
import pytest

from lib.harness import key_of, wait_until

APP = "00000000-0000-0000-0000-00000000000%d"


def set_shards(world, a=None, b=None):
    key = "dsn" if world.store.kind == "postgres" else "sqlite"
    for shard, where in zip(world.settings["shards"], (a, b)):
        if where is not None:
            shard[key] = str(where)
    world.write_config()


def state(world):
    """leat's data in each database, and whether it is there at all."""
    found = []
    for shard in world.shard_names:
        if world.store.kind == "postgres":
            there = world.rows("select to_regnamespace('leat') is not null", [shard]) == [(True,)]
        else:
            there = world.rows("select count(*) from sqlite_schema where name like 'leat_%'", [shard]) != [(0,)]
        found.append(there and [world.rows(f"select * from leat.{t} order by 1, 2", [shard])
                                for t in ("sources", "partitions", "progress", "dead_letters")])
    return found


def expect_refused(world, *words, commands=("init", "check", "run")):
    """With the words, by each command; the databases stay as they were, also those that are right."""
    before = state(world)
    for command in commands:
        done = world.leat(command, timeout=60)
        assert done.returncode == (3 if command == "check" else 1), (command, done)
        for word in words:
            assert word in done.stdout + done.stderr, (command, word, done)
    assert state(world) == before


def ways_to(world, tmp_path):
    """Other names of the database, or the file, of shard a."""
    if world.store.kind == "sqlite":
        link, hard = tmp_path / "link.db", tmp_path / "hard.db"
        link.symlink_to(world.store.paths["a"])
        os.link(world.store.paths["a"], hard)
        directory = world.store.paths["a"].parent
        return [link, hard, f"{directory}/./a.db", f"{directory}/../{directory.name}/a.db"]
    with world.db("a") as db:
        socket = db.execute("show unix_socket_directories").fetchone()[0]
    dsn = world.dsns["a"]
    return [dsn, dsn.replace("127.0.0.1", "localhost"), f"{dsn} application_name=b connect_timeout=3",
            dsn.replace("host=127.0.0.1", f"host={socket}") if socket else dsn]


@pytest.mark.parametrize("backend", ["servers", "kafka and sqlite"], indirect=True)
@pytest.mark.parametrize("way", range(4))
def test_one_database_for_two_shards(make_world, tmp_path, way):
    """By whatever name it is reached, and before anything is set up as well as after."""
    world = make_world()
    own = world.settings["shards"][1].get("dsn") or world.settings["shards"][1].get("sqlite")
    other = ways_to(world, tmp_path)[way]
    set_shards(world, b=other)
    expect_refused(world, "shards a and b lead to one database", "give each its own", commands=("init", "check"))
    assert state(world) == [False, False]
    set_shards(world, b=own)
    world.init()
    set_shards(world, b=other)
    expect_refused(world, "shards a and b lead to one database")


def test_one_database_by_another_role(make_world):
    """The asking role makes no difference."""
    world = make_world()
    role = "r" + world.name
    with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        server.execute(f"create role {role} login superuser")
        try:
            set_shards(world, b=world.dsns["a"].replace("user=dev", f"user={role}"))
            expect_refused(world, "shards a and b lead to one database", commands=("init", "check"))
        finally:
            world.close()
            server.execute(f"drop role {role}")


@pytest.mark.parametrize("backend", ["servers", "kafka and sqlite"], indirect=True)
@pytest.mark.parametrize("with_rows", [False, True])
def test_swapped_shards(make_world, with_rows):
    """The databases know whose they are, with rows and without."""
    world = make_world()
    world.init()
    if with_rows:
        process = world.start("run")
        with world.client(process) as http:
            for i in range(8):
                assert http.put(key_of(APP % i, APP % i), json={"session_count": 1}).status_code == 202
        wait_until(lambda: sum(n for n, in world.rows("select count(*) from subscriptions")) == 8, "all rows")
        assert process.terminate() == 0
    key = "dsn" if world.store.kind == "postgres" else "sqlite"
    a, b = (s[key] for s in world.settings["shards"])
    set_shards(world, a=b, b=a)
    expect_refused(world, "are swapped", "holds the partitions of shard")
    set_shards(world, a=a, b=b)
    assert world.leat("init").returncode == 0


def test_a_copy_of_another_shards_database(make_world):
    """Made by CREATE DATABASE ... TEMPLATE, or restored from that shard's backup."""
    world = make_world()
    world.init()
    copy = world.name + "_copy"
    with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        server.execute(f"create database {copy} template {world.name}")
        try:
            set_shards(world, b=world.dsns["a"].replace(world.name, copy))
            expect_refused(world, "shard b: database", "holds the partitions of shard a", "or a copy of it")
        finally:
            server.execute(f"drop database {copy} with (force)")


def test_two_databases_of_one_server_are_two(make_world):
    """Also when one was made from the other before anything was set up."""
    world = make_world()
    other = world.name + "_b"
    with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        server.execute(f"create database {other} template {world.name}")
        try:
            set_shards(world, b=world.dsns["a"].replace(world.name, other))
            world.init()
            assert "FAILED   shard b: own database" not in world.leat("check").stdout
        finally:
            server.execute(f"drop database {other} with (force)")


REFUSALS = {
    "another topic": ("update leat.sources set topic_id = 'another'", "the topic id"),
    "a newer schema": ("update leat.schema_version set version = 99", "use a newer leat"),  # seen before a topic is made
    "another's object in the way": ("drop table leat.dead_letters; create view leat.dead_letters as select 1 as x",
                                    "dead_letters"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_init_writes_to_no_shard_when_one_refuses(make_world, name):
    """Shard a is new and could be set up; b refuses: a is left as it was, and init reports it. After a repair, init succeeds."""
    world = make_world()
    world.init()
    provoke, words = REFUSALS[name]
    with world.db("b") as b, world.db("a") as a:
        a.execute("drop schema leat cascade")
        b.execute("create schema kept")
        b.execute(provoke)
        done = world.leat("init")
        assert done.returncode == 1 and words in done.stderr, done
        assert re.search(r"(no shard was|nothing was created or) changed: shard b", done.stderr), done
        assert a.execute("select to_regnamespace('leat')").fetchall() == [(None,)]
        b.execute("drop schema leat cascade")
    world.init()
    assert "FAILED" not in "".join(l for l in world.leat("check").stdout.splitlines() if "fsync" not in l)


def test_init_without_the_right_to_make_a_schema(make_world):
    """That b's role may not is found before a is written to."""
    world = make_world()
    role = "r" + world.name
    with psycopg.connect(world.env["PG_DSN_2"], autocommit=True) as server:
        server.execute(f"create role {role} login")
        try:
            set_shards(world, b=world.dsns["b"].replace("user=dev", f"user={role}"))
            with world.db("b") as b:
                b.execute(f"grant select on subscriptions to {role}")
            done = world.leat("init")
            assert done.returncode == 1 and "no shard was changed: shard b" in done.stderr and "42501" in done.stderr, done
            assert state(world) == [False, False]
        finally:
            world.close()
            server.execute(f"drop role {role}")


def test_a_dsn_that_comes_to_lead_elsewhere(make_world):
    """The two databases change their names under a running worker, as by a proxy that was mixed up: it writes to neither
    and names the fault; once repaired, it goes on by itself."""
    world = make_world(partitions=2)
    other = world.name + "_b"
    with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        server.execute(f"create database {other} template {world.name}")

        def swap():
            for old, new in ((world.name, "tmp" + world.name), (other, world.name), ("tmp" + world.name, other)):
                server.execute(f"alter database {old} allow_connections false")
                server.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (old,))
                wait_until(lambda: server.execute("select count(*) from pg_stat_activity where datname = %s", (old,)).fetchone()[0] == 0,
                           "no session")
                server.execute(f"alter database {old} rename to {new}")
            for name in (world.name, other):
                server.execute(f"alter database {name} allow_connections true")

        try:
            world.store.dsns["b"] = world.dsns["a"].replace(world.name, other)
            set_shards(world, b=world.dsns["b"])
            world.init()
            process = world.start("run")
            with world.client(process) as http:
                assert http.put(key_of(APP % 1, APP % 1), json={"session_count": 1}).status_code == 202
                wait_until(lambda: sum(n for n, in world.rows("select count(*) from subscriptions")) == 1, "the row")
                swap()
                for i in range(8):
                    assert http.put(key_of(APP % i, APP % i), json={"session_count": 2}).status_code == 202
                process.wait_for("is not in this database", count=2)
                assert "leat check" in process.text()
                assert world.rows("select count(*) from subscriptions where session_count = 2") == [(0,), (0,)]
                checked = world.leat("check")
                assert checked.returncode == 3 and "are swapped" in checked.stdout
                swap()
                wait_until(lambda: sum(n for n, in world.rows("select count(*) from subscriptions where session_count = 2")) == 8,
                           "all rows")
        finally:
            for process in world.processes:
                process.kill()
            server.execute(f"drop database if exists {other} with (force)")

