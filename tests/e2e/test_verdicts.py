"""Errors that are not bad data: outages of a whole database, tables that do not fit yet, and verdicts that outlive their reason."""

import re
import tempfile
import time

import psycopg
import pytest

from lib.harness import wait_until
from lib.leat_sql import Cluster, programs

THINGS = """
create table says (leat text, letters text, rows text);
insert into says values (null, null, null);
create sequence letters_tried;
create table parents (id int primary key);
create table things (
    app int, id int, n bigint not null default 0, parent int references parents, fault text, primary key (app, id),
    constraint small check (n < 1000));
create function say() returns trigger language plpgsql as $$
declare state text := case when tg_table_schema = 'public' then coalesce(to_jsonb(new) ->> 'fault', (select rows from public.says))
                           when tg_table_name = 'dead_letters' then (select coalesce(letters, leat) from public.says)
                           else (select leat from public.says) end;
begin
    if tg_table_name = 'dead_letters' then perform nextval('public.letters_tried'); end if;
    if state is not null then raise exception 'no' using errcode = state; end if;
    return new;
end $$;
create trigger say before insert or update on things for each row execute function say();
"""
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "columns": {"n": "add"}}


@pytest.fixture
def world_of(make_world):
    """One shard and partition. The database says no where table `says` tells it to, with that SQLSTATE: to leat's tables, to
    its dead letters, to rows."""

    def make(**settings):
        world = make_world(shards=1, partitions=1, table_sql=THINGS, route=ROUTE, **settings)
        world.init()
        with world.db("a") as db:
            for table in ("progress", "partitions", "dead_letters"):
                db.execute(f"create trigger say before insert or update on leat.{table} for each row execute function public.say()")
        return world

    return make


def say(world, **what):
    with world.db("a") as db:
        for where, state in what.items():
            db.execute(f"update says set {where} = %s", (state,))


def patch(http, ident, **body):
    answer = http.patch(f"/apps/1/things/{ident}", json=body)
    assert answer.status_code == 202, answer.text


def letters(world):
    return world.rows('select sqlstate, message from leat.dead_letters order by "offset"')


def things(world):
    return world.rows("select count(*) from things")[0][0]


def fails(world, apply, times=5):
    """Waits until this many more batches have failed."""
    begin = world.metric(apply, "leat_batches_failed_total")
    wait_until(lambda: world.metric(apply, "leat_batches_failed_total") >= begin + times, "batches that fail")


# ---- the whole database refuses ----

@pytest.mark.parametrize("state", ["54000", "53100", "P0001", "23514"])
def test_a_database_that_refuses_everything_makes_no_dead_letters(world_of, state):
    """As at the stop limit of transaction ids: rows, progress and dead letters are refused alike, with whatever code. Nothing is
    held against a record, and when it is over all of it is applied."""
    world = world_of()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 0, n=1)
        wait_until(lambda: things(world) == 1, "the first row")
        say(world, leat=state, rows=state)
        patch(http, 1, n=1)  # alone in its batch
        fails(world, apply, 2)
        for ident in range(2, 101):
            patch(http, ident, n=1)
        fails(world, apply, 2)
        say(world, leat=None, rows=None)
    wait_until(lambda: things(world) == 101, "all of it")
    assert letters(world) == []


def test_the_stop_limit_of_transaction_ids(make_world):
    """The real thing: a server that runs out of transaction ids says 54000 to every write until it has been vacuumed, which a
    replication slot prevents for a while. Nothing is held against a record."""
    if not (programs() / "pg_resetwal").exists():
        pytest.skip("this build of PostgreSQL comes without pg_resetwal")
    table = "create table things (app int, id int, n bigint not null default 0, primary key (app, id))"
    with tempfile.TemporaryDirectory(prefix="leat-pg-") as directory:
        cluster = Cluster(directory, ["wal_level=logical", "autovacuum_naptime=1s"])
        try:
            world = make_world(shards=1, partitions=1, route=ROUTE, table_sql=table)
            world.settings["shards"][0]["dsn"] = cluster.dsn
            world.write_config()
            with psycopg.connect(cluster.dsn, autocommit=True) as db:
                db.execute(table)
                world.init()
                db.execute("select pg_create_logical_replication_slot('old', 'pgoutput')")
            cluster.use_up_transaction_ids(left=20)
            edge, apply = world.start("edge"), world.start("apply")
            sent = 0
            with world.client(edge) as http:
                while world.metric(apply, "leat_batches_failed_total") < 3:
                    patch(http, sent, n=1)
                    sent += 1
            with psycopg.connect(cluster.dsn, autocommit=True) as db:
                count = "select (select count(*) from things), (select count(*) from leat.dead_letters)"
                rows, dead = db.execute(count).fetchone()
                assert 0 < rows < sent and dead == 0
                db.execute("select pg_drop_replication_slot('old')")
                wait_until(lambda: db.execute(count).fetchone() == (sent, 0), "all of it, once it is vacuumed", timeout=120)
            for process in (edge, apply):
                assert process.terminate() == 0
        finally:
            cluster.stop()


# ---- verdicts that cannot be carried out ----

@pytest.mark.parametrize("state", ["53100", "54000", "23514", "42501", "XX001", "40001"])
def test_what_a_database_takes_by_then_does_not_become_a_dead_letter(world_of, state):
    """Several records are refused for good while no dead letter can be written, for whatever reason. Then their constraint goes:
    all of them are applied, so it is the records that are tried again and not their letters. (Were letters let through before that, one
    whose record was refused a moment ago might be written, and rightly.)"""
    world = world_of()
    say(world, letters=state)
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for ident in range(20):
            patch(http, ident, n=5000)
        wait_until(lambda: world.rows("select last_value from letters_tried")[0][0] >= 5, "dead letters to be tried")
        assert letters(world) == []
        with world.db("a") as db:
            db.execute("alter table things drop constraint small")
        wait_until(lambda: things(world) == 20, "all of them")
        say(world, letters=None)
        assert letters(world) == []
        # A record that is still refused becomes one as before.
        patch(http, 100, fault="22003")
        wait_until(lambda: [state for state, _ in letters(world)] == ["22003"], "the one that is refused")


def test_patience_does_not_run_out_in_an_outage(world_of):
    """A record waits for its parent; the database goes away for longer than the patience, and comes back with the parent."""
    world = world_of(apply={"patience": "3s"})
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, parent=7)
        wait_until(lambda: world.metric(apply, "leat_subpartitions_stalled") == 1, "it to wait")
        say(world, leat="54000")
        begin = time.monotonic()
        fails(world, apply, 2)
        wait_until(lambda: time.monotonic() > begin + 4, "its patience to be over")
        with world.db("a") as db:
            db.execute("insert into parents values (7)")
        say(world, leat=None)
        wait_until(lambda: things(world) == 1, "the record")
    assert letters(world) == []


# ---- tables that do not fit yet ----

@pytest.mark.parametrize("case", ["partition", "sequence", "identity", "trigger"])
def test_a_table_that_does_not_fit_yet_is_waited_for(make_world, case):
    """No partition for the row, a sequence at its end, a table in a publication without replica identity, a trigger without RETURN:
    writes that need it wait and are reported, others go on, and all are applied once it is repaired."""
    made, mended, sqlstate = {
        "partition": ("create table things (app int, id int, n int, primary key (app, id)) partition by list (app);"
                      "create table things_2 partition of things for values in (2)",
                      "create table things_1 partition of things for values in (1)", "23514"),
        "sequence": ("create sequence s as int start 2147483647; create table things (app int, id int, n int, number bigint, "
                     "primary key (app, id)); create function number() returns trigger language plpgsql as "
                     "$$ begin if new.app = 1 then new.number := nextval('s'); end if; return new; end $$;"
                     "create trigger number before insert on things for each row execute function number();"
                     "select nextval('s')",
                     "alter sequence s as bigint no maxvalue", "2200H"),
        "identity": ("create table things (app int, id int, n int, primary key (app, id));"
                     "create table watched (id int); insert into watched values (1);"
                     "create publication {name} for table watched; create function touch() returns trigger language plpgsql as "
                     "$$ begin if new.app = 1 then update watched set id = 2; end if; return new; end $$;"
                     "create trigger touch before insert on things for each row execute function touch()",
                     "alter table watched replica identity full", "55000"),
        "trigger": ("create table things (app int, id int, n int, primary key (app, id));"
                    "create function f() returns trigger language plpgsql as "
                    "$$ begin if new.app = 2 then return new; end if; end $$;"
                    "create trigger f before insert on things for each row execute function f()",
                    "create or replace function f() returns trigger language plpgsql as $$ begin return new; end $$", "2F005"),
    }[case]
    world = make_world(shards=1, partitions=1, route={**ROUTE, "columns": {}}, table_sql="select 1")
    with world.db("a") as db:
        db.execute(made.format(name=world.name))
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for app in (1, 2):
            for ident in range(20):
                assert http.put(f"/apps/{app}/things/{ident}", json={"n": 1}).status_code == 202
        apply.wait_for("stalled by drift")
        apply.wait_for(f"sqlstate={sqlstate}")
        wait_until(lambda: world.rows("select count(*) from things where app = 2")[0][0] >= 1, "others to go on")
        assert world.rows("select count(*) from things where app = 1") == [(0,)] and letters(world) == []
        assert world.metric(apply, "leat_shards_halted") == 0
        with world.db("a") as db:
            db.execute(mended)
        wait_until(lambda: things(world) == 40, "all of it")
    assert letters(world) == []


def test_a_record_that_ends_its_session_stalls_alone(make_world):
    """It ends its session whenever it is written: it is named, the others are applied, and so is it once that is mended."""
    body = "create or replace function ends() returns trigger language plpgsql as $$ begin {} return new; end $$;"
    kills = body.format("if new.fault is not null then perform pg_terminate_backend(pg_backend_pid()); end if;")
    world = make_world(shards=1, partitions=1, route={**ROUTE, "columns": {}},
                       table_sql="create table things (app int, id int, n int, fault text, primary key (app, id));" + kills +
                       "create trigger ends before insert on things for each row execute function ends();")
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        for ident in range(200):
            fault = {"fault": "x"} if ident == 50 else {}
            assert http.put(f"/apps/1/things/{ident}", json={"n": 1, **fault}).status_code == 202
    apply = world.start("apply")
    apply.wait_for("stalled by the end of its session")
    assert re.search(r"stalled by the end of its session.* offset=50 ", apply.text())
    wait_until(lambda: things(world) >= 180, "others to go on")
    assert letters(world) == []
    with world.db("a") as db:
        db.execute(body.format(""))
    wait_until(lambda: things(world) == 200, "all of it")
    assert letters(world) == []
