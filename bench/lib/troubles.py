"""The troubles of bench/isolation: each happens while its `with` lasts, to rows of a tenant of its own."""

import json
import os
import re
import signal
from contextlib import contextmanager
from pathlib import Path

import psycopg

from measure import stat_fields
from stage import postmaster_pid

from lib.placement import subpartition, xxh3

TABLE = """
create table parents (id int primary key);
insert into parents values (1);
create table items (app int, id int, n int not null default 0, parent int references parents deferrable initially immediate,
                    primary key (app, id)) with (fillfactor = 80);
create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(tg_argv[0]::float8); return new; end $$;
create table slow_now (seconds float8);
create function slow_now() returns trigger language plpgsql as $$ begin perform pg_sleep(seconds) from slow_now; return new; end $$;
"""
ROUTE = {"path": "/apps/{app}/items/{id}", "table": "items", "tenant": "app", "columns": {"n": "add"}}
TENANT_SLOTS = 4096
SHARING_LOOKED_AT = 200  # rows of each tenant


# ---- where keys go ----

def hashed(text):
    return xxh3(text.encode())


def tenants(world, count):
    """So many of the first shard."""
    shard_of = dict(world.rows("select slot, shard from leat.tenant_slots", ["a"]))
    return [app for app in range(1000, 1000 + 50 * count) if shard_of[hashed(str(app)) % TENANT_SLOTS] == 0][:count]


class Places:
    """Where a row is worked on: (partition within its shard, which has so many of them, subpartition)."""

    def __init__(self, world, partitions):
        self.partitions = partitions
        (self.source,) = world.rows(f"select to_jsonb(s) from leat.sources as s where topic = '{world.name}'", ["a"])[0]
        self.placement = [self.source.get(name, otherwise) for name, otherwise in
                          (("subpartitions", 64), ("tenant_window", 0), ("tenant_position", -1))]

        self.known = {}

    def of(self, app, row):
        if (app, row) not in self.known:
            key = f"{app}/{row}"
            self.known[app, row] = (hashed(key) >> 32) % self.partitions, subpartition(key.encode(), *self.placement)
        return self.known[app, row]

    def rows_apart(self, app, taken, count):
        """(rows of the tenant that share no place with `taken`, False); or any, and True, where too few are apart: where a tenant
        is in every subpartition."""
        found = [row for row in range(20_000) if self.of(app, row) not in taken][:count]
        return (found, False) if len(found) == count else (list(range(count)), True)

    def taken(self, app, rows):
        return {self.of(app, row) for row in rows}

    def rows_sharing(self, apps, taken, count):
        """(tenant, its rows) that are in a place of `taken`: of these tenants the one that has most of `count` there. None: nobody
        has a row there."""
        if not taken:
            return None
        found = {app: [row for row in range(SHARING_LOOKED_AT) if self.of(app, row) in taken][:count] for app in apps}
        most = max(found, key=lambda app: len(found[app]))
        return (most, found[most]) if found[most] else None


# ---- the troubles ----


class Trouble:
    """Nothing goes wrong. It is about `rows` of its tenant, to which `rate` writes a second go while the load lasts. A line of the
    log names it if it has the shard and matches `told`; `leat status` names it if what it says of the shard matches `shown`. In
    both {app} stands for the tenant; "": nothing can."""

    rows, body, shard = [], '{"n":1}', "a"
    told = shown = ""
    one_write = False  # instead: one to the first row
    everywhere = False  # instead: to all rows of all tenants
    endless = False    # the writes go as fast as they are answered

    def rate(self, whole):
        return 0

    def names(self, pattern, app, text):
        return pattern != "" and re.search(pattern.replace("{app}", str(app)), text) is not None

    def is_told(self, app, line):
        """By this line of a log."""
        return re.search(rf"Z (warn|error) .* shard={self.shard}( |$)", line) is not None and self.names(self.told, app, line)

    def is_shown(self, app, shard):
        """By this shard of `leat status --json`."""
        return shard["shard"] == self.shard and self.names(self.shown, app, json.dumps(shard))

    @contextmanager
    def prepared(self, world, app):
        """What both runs of a round need, also the one without the trouble, before the load begins."""
        yield

    @contextmanager
    def happens(self, world, app):
        yield


class LockedRows(Trouble):
    """`count` rows are held by a foreign session; `share` of all writes are for them, or `each` a second for each of them. None:
    one write, to the first."""

    told, shown = r'key="{app}/|lock on items', r'"kind": "lock"|"key": "{app}/'

    def __init__(self, count=1, share=None, each=None):
        self.share, self.each = share, each
        self.rows = list(range(count))
        self.one_write = share is None and each is None

    def rate(self, whole):
        if self.each is not None:
            return self.each * len(self.rows)
        return whole * self.share / (1 - self.share) if self.share else 0

    @contextmanager
    def happens(self, world, app):
        with world.db("a") as db, psycopg.connect(world.dsns["a"]) as holder:
            for row in self.rows:
                db.execute("insert into items (app, id) values (%s, %s) on conflict do nothing", [app, row])
            holder.execute("select from items where app = %s and id = any(%s) for update", [app, self.rows])
            yield
            holder.rollback()


class MissingParents(Trouble):
    """Writes whose parent row comes only when the trouble is over, in eight rows or everywhere."""

    body = '{"n":1,"parent":2}'
    told = shown = "23503|foreign key"

    def __init__(self, share=None, everywhere=False):
        self.share, self.everywhere = share, everywhere
        self.rows = [] if everywhere else list(range(8))

    def rate(self, whole):
        return 1 if self.share is None else whole * self.share

    @contextmanager
    def happens(self, world, app):
        shards = world.shard_names if self.everywhere else ["a"]
        for shard in shards:
            with world.db(shard) as db:
                db.execute("update items set parent = null where parent = 2")
                db.execute("delete from parents where id = 2")
        yield
        for shard in shards:
            with world.db(shard) as db:
                db.execute("insert into parents values (2) on conflict do nothing")


class LoudTenant(Trouble):
    """One of the tenants writes `times` its rate; 0: as fast as it gets answers."""

    told, shown = r'tenant="?{app}\b', r'"tenant": "{app}"'

    def __init__(self, times):
        self.times, self.endless = times, times == 0
        self.rows = list(range(1000))

    def rate(self, whole):
        return self.times * whole / 100  # of a hundred tenants


class SlowTrigger(Trouble):
    """Rows of one tenant take 50 ms each."""

    told, shown = r'tenant="?{app}\b', r'"tenant": "{app}"'

    def __init__(self, rate, count):
        self.writes, self.rows = rate, list(range(count))

    def rate(self, whole):
        return self.writes

    @contextmanager
    def prepared(self, world, app):
        with world.db("a") as db:
            db.execute("create trigger slow before insert or update on items for each row "
                       f"when (new.app = {app}) execute function slow_now()")
            yield
            db.execute("drop trigger slow on items")

    @contextmanager
    def happens(self, world, app):
        with world.db("a") as db:
            db.execute("insert into slow_now values (0.05)")
            yield
            db.execute("delete from slow_now")


class FrozenShard(Trouble):
    """A shard's servers, those of the other one, are stopped (SIGSTOP); they continue whatever happens."""

    told, shown = ".", r'"kind": "|"error": "'

    def __init__(self, shard="b"):
        self.shard = shard

    @contextmanager
    def happens(self, world, app):
        pids = server_pids(world, self.shard)
        try:
            for pid in pids:
                send(pid, signal.SIGSTOP)
            yield
        finally:
            for pid in pids:
                send(pid, signal.SIGCONT)


class SlowShard(Trouble):
    """Each statement of the other shard takes 100 ms more."""

    shard = "b"
    told, shown = ".", r'"kind": "'

    @contextmanager
    def happens(self, world, app):
        with world.db("b") as db:
            db.execute("create trigger slow after insert or update on items for each statement execute function slow('0.1')")
            yield
            db.execute("drop trigger slow on items")


def send(pid, number):
    """To a server's process, which may have ended meanwhile, as that of a connection that was closed does."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def server_pids(world, shard):
    """The postmaster and its children."""
    postmaster = postmaster_pid(world, shard)
    return [postmaster, *(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent_of(p.name) == postmaster)]


def parent_of(pid):
    try:
        return int(stat_fields(pid)[1])
    except OSError:
        return None
