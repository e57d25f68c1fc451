import itertools
import os
import pathlib
import sys
import tempfile

import psycopg
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import leat_sql  # noqa: E402

NUMBERS = itertools.count()


def database(dsn, name):
    return f"{dsn} dbname={name}"


@pytest.fixture(scope="session")
def server():
    """An autocommit connection to the server, and its DSN."""
    dsn = leat_sql.server_dsn()
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection, dsn


@pytest.fixture(scope="session")
def template(server):
    connection, dsn = server
    name = f"leat_sql_{os.getpid()}_template"
    connection.execute(f"CREATE DATABASE {name}")
    try:
        leat_sql.load(database(dsn, name))
        yield name
    finally:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def shard(server, template):
    """A fresh database with schema leat; every connection made through it is closed at the end. What a commit means to
    other sessions does not depend on the disk, so nobody waits for that."""
    connection, dsn = server
    name = f"leat_sql_{os.getpid()}_{next(NUMBERS)}"
    connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    shard = leat_sql.Shard(database(dsn, name) + " options='-c synchronous_commit=off'")
    yield shard
    shard.close()
    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def unreplicated():
    """A shard on a server whose every commit waits for a synchronous standby that never comes, unless the session says
    synchronous_commit = local."""
    with tempfile.TemporaryDirectory(prefix="leat-pg-") as directory:
        cluster = leat_sql.Cluster(directory)
        leat_sql.load(cluster.dsn)
        with psycopg.connect(cluster.dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            connection.execute("SELECT pg_reload_conf()")
        shard = leat_sql.Shard(f"{cluster.dsn} options='-c synchronous_commit=local'")
        yield shard, cluster.dsn
        shard.close()
        cluster.stop()
