"""A streaming standby of a cluster of scripts/postgres, for tests about failover and about looks at the wrong server; and one
that commits wait for in vain."""

import contextlib
import re

import psycopg

from lib.harness import environment, script, wait_until


def port_in(dsn):
    return re.search(r"port=(\d+)", dsn)[1]


@contextlib.contextmanager
def standby_is_gone(world, name):
    """All commits of the first cluster wait for that synchronous standby until the end of the block, but not those of the
    session that it yields."""
    with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        def wait_for(standby):
            server.execute("select pg_reload_conf()")
            wait_until(lambda: server.execute("show synchronous_standby_names").fetchone() == (standby,), "the setting")

        server.execute("set synchronous_commit = local")
        server.execute(f"alter system set synchronous_standby_names = '{name}'")
        try:
            wait_for(name)
            yield server
        finally:
            server.execute("alter system reset synchronous_standby_names")
            wait_for("")


class Standby:
    """Of cluster `number`: recreated, running, up to date. By `with`: it is stopped at the end."""

    def __init__(self, number=1):
        self.number, self.name = number, f"s{number}"
        script("postgres", "standby", number)
        self.primary = environment()[f"PG_DSN_{number}"]
        self.primary_port = port_in(self.primary)
        self.port = port_in(script("postgres", "env").partition(f"PG_DSN_{self.name}=")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        script("postgres", "stop", "--immediate", self.name)

    def dsn_of(self, dsn):
        """The standby's DSN for a primary's."""
        return dsn.replace(f"port={self.primary_port}", f"port={self.port}")

    def both(self, dsn, standby_first=True):
        """A DSN of two hosts."""
        ports = [self.port, self.primary_port][:: 1 if standby_first else -1]
        return dsn.replace(f"port={self.primary_port}", f"port={','.join(ports)}").replace("host=127.0.0.1", "host=127.0.0.1,127.0.0.1")

    def run(self, sql, dsn=None):
        """On the standby."""
        with psycopg.connect(self.dsn_of(dsn or self.primary), autocommit=True) as db:
            done = db.execute(sql)
            return done.fetchall() if done.description else None

    def catch_up(self):
        """It has replayed all that the primary has written so far."""
        with psycopg.connect(self.primary, autocommit=True) as db:
            end = db.execute("select pg_current_wal_flush_lsn()").fetchone()[0]
        wait_until(lambda: self.run(f"select pg_last_wal_replay_lsn() >= '{end}'")[0][0], f"{self.name} to replay {end}")

    def pause(self):
        """From here on it shows the past."""
        self.catch_up()
        self.run("select pg_wal_replay_pause()")
        wait_until(lambda: self.run("select pg_get_wal_replay_pause_state()")[0][0] == "paused", "replay to stop")

    def resume(self):
        self.run("select pg_wal_replay_resume()")

    def hear_no_more(self):
        """What the primary writes from here on is lost when this one takes over."""
        self.run("alter system set primary_conninfo = ''")
        self.run("select pg_reload_conf()")
        wait_until(lambda: self.run("select count(*) from pg_stat_wal_receiver") == [(0,)], "replication to end")

    def promote(self):
        """Makes it a primary; it first replays all that it has received."""
        script("postgres", "promote", self.number)

    def stop(self, *how):
        script("postgres", "stop", *how, self.name)

    def restart(self):
        script("postgres", "restart", self.name)
