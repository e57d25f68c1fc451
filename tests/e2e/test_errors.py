"""When the database refuses: every class of error, provoked in a real database, and the fate of the records."""

import itertools
import json
import subprocess
import time

import psycopg
import pytest
from psycopg import sql

from lib.harness import both, wait_until

# `fault` raises the SQLSTATE a record names; `switch` raises one for every write while it holds one.
THINGS_POSTGRES = """
create table switch (fault text);
create table things (
    app int, id int, n bigint not null default 0, list jsonb not null default '[]', note varchar(5), fault text,
    primary key (app, id), constraint small check (n < 1000));
create function raise_fault() returns trigger language plpgsql as $$
declare state text := coalesce(new.fault, (select fault from switch));
begin
    if state is not null then
        raise exception 'raised for the test' using errcode = state;
    end if;
    return new;
end $$;
create trigger raise_fault before insert or update on things for each row execute function raise_fault();
"""
# SQLite's triggers know one error: P0001.
THINGS_SQLITE = """
create table things (
    app int, id int, n bigint not null default 0, list json not null default '[]', note varchar(5), fault text,
    primary key (app, id), constraint small check (n < 1000));
create trigger raise_fault_in before insert on things when new.fault is not null begin select raise(abort, 'raised for the test'); end;
create trigger raise_fault_up before update on things when new.fault is not null begin select raise(abort, 'raised for the test'); end;
"""
THINGS = {"postgres": THINGS_POSTGRES, "sqlite": THINGS_SQLITE}
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "columns": {"n": "add", "list": "append"}}
THING = {"table_sql": THINGS, "route": ROUTE}


def patch(http, app, ident, **body):
    answer = http.patch(f"/apps/{app}/things/{ident}", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()


def dead(world, columns='"offset", sqlstate, message'):
    return world.rows(f'select {columns} from leat.dead_letters order by partition, "offset"')


def switch(world, state, shards=None):
    for shard in shards or world.shard_names:
        with world.db(shard) as db:
            db.execute("delete from switch")
            if state:
                db.execute("insert into switch values (%s)", (state,))


def on_shards(world, statement):
    for shard in world.shard_names:
        with world.db(shard) as db:
            db.execute(statement)


def list_of(world, ident):
    return [l for l, in world.rows(f"select list from things where id = {ident}")]


def as_role(world, options=""):
    """leat as a role of its own that owns what it needs, so that its rights and limits can be taken away."""
    role = "r" + world.name
    for shard in world.shard_names:
        with world.db(shard) as db:
            db.execute(f"do $$ begin create role {role} login; exception when duplicate_object then null; end $$")
            db.execute(f"grant all on database {world.name} to {role}")
            db.execute(f"alter role {role} {options}")
            for table in [t for t, in db.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()]:
                db.execute(sql.SQL("alter table {} owner to {}").format(sql.Identifier(table), sql.Identifier(role)))
    for number, entry in enumerate(world.settings["shards"], 1):
        entry["dsn"] = f"{world.dsns[entry['name']]} user={role}"
    world.write_config()
    world.roles = [role]
    return role


@pytest.fixture
def world_of(make_world):
    """make_world, and roles are dropped once their databases are."""
    worlds = []

    def make(**settings):
        world = make_world(**{**THING, **settings})
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        for role in getattr(world, "roles", []):
            world.close()
            for number, _ in enumerate(world.shard_names, 1):
                with psycopg.connect(world.env[f"PG_DSN_{number}"], autocommit=True) as db:
                    db.execute(f"drop role if exists {role}")


# ---- bad data ----

REFUSALS = {"postgres": ["22001", "22003", "22P02", "22021", "23502", "23514", "44000", "54000", "21000", "P0001", "P0002", "ZZ123"],
            "sqlite": ["P0001"] * 12}


@both
def test_each_kind_of_bad_data_becomes_a_dead_letter_and_the_rest_is_applied(world_of):
    """One record of each SQLSTATE among good ones: each is kept with its reason, in the shard, with all that is needed to
    write it again; earlier and later ones of the same key are applied in order."""
    world = world_of()
    world.init()
    edge = world.start("edge")
    sent, refusals = {}, REFUSALS[world.store.kind]
    with world.client(edge) as http:
        for ident, state in enumerate(refusals):
            patch(http, ident, ident, list=1)
            at = patch(http, ident, ident, list=2, fault=state)
            sent[at["partition"], at["offset"]] = (ident, state)
            patch(http, ident, ident, list=3)
        for ident in range(100, 200):
            patch(http, ident, ident, list=0)
    apply = world.start("apply")
    wait_until(lambda: len(dead(world)) == len(refusals), "the dead letters")
    wait_until(lambda: all(list_of(world, i) == [[1, 3]] for i in range(len(refusals))), "the others on those keys")
    wait_until(lambda: len(world.rows("select 1 from things where id >= 100")) == 100, "the other keys")
    letters = dead(world, 'partition, "offset", route, key, op, body, sqlstate, message, accepted_at <= at')
    for partition, offset, route, key, op, body, state, message, in_order in letters:
        ident, wanted = sent.pop((partition, offset))
        assert (route, bytes(key).decode(), op, state, message, in_order) == (
            "things", f"{ident}/{ident}", "patch", wanted, "raised for the test", True)
        assert json.loads(bytes(body)) == {"list": 2, "fault": wanted}
        apply.wait_for(f'key="{ident}/{ident}" tenant={ident}')
        apply.wait_for(f"`leat dead show {partition} {offset}` shows it")
    assert not sent
    wait_until(lambda: world.metric(apply, "leat_dead_letters_total") == len(refusals), "the metric")
    wait_until(lambda: world.metric(apply, "leat_subpartitions_stalled") == 0, "nothing to be stalled")


@both
def test_what_real_constraints_and_types_refuse(world_of):
    """A CHECK, a length, a sum out of range: not raised by hand. The sum is right up to the record that does not fit."""
    world = world_of(shards=1)
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        for add in (400, 500, 400, 99):
            patch(http, 1, 1, n=add, list=add)
        patch(http, 1, 2, n=-(2**63) + 1)
        patch(http, 1, 2, n=-2)
    world.start("apply")
    wait_until(lambda: sorted(s for _, s, _ in dead(world)) == ["22003", "23514"], "the two that do not fit")
    wait_until(lambda: world.rows("select id, n from things order by id") == [(1, 999), (2, -(2**63) + 1)], "all others")
    assert list_of(world, 1) == [[400, 500, 99]]


def test_records_that_are_no_records_become_dead_letters(world_of):
    """Records that a foreign producer may write: not JSON, an invalid key, an unknown column, an unknown route."""
    from confluent_kafka import Producer

    world = world_of(shards=1, partitions=1)
    world.init()
    producer = Producer({"bootstrap.servers": world.brokers})
    bad = [("1/1", b'{"n"', {"op": "patch"}), ("x/1", b"{}", {}), ("1/1", b'{"nope": 1}', {"op": "patch", "trace": b"\xff"}),
           ("1/1", b'{"n": "many"}', {"op": "patch"}), (None, b"{}", {}), ("1/1", b"{}", {"op": "upsert"}),
           ("1", b"{}", {"route": "elsewhere"})]
    for key, value, headers in bad:
        producer.produce(world.name, partition=0, key=key, value=value, headers=headers)
        producer.produce(world.name, partition=0, key="1/1", value=b'{"n": 1}', headers={"op": "patch"})
    producer.flush()
    world.start("apply")
    wait_until(lambda: len(dead(world)) == len(bad), "the dead letters")
    wait_until(lambda: world.rows("select n from things") == [(len(bad),)], "the good ones between them")
    assert [o for o, in dead(world, '"offset"')] == list(range(0, 2 * len(bad), 2))
    headers = dead(world, "headers")[2][0]
    assert headers["op"] == "patch" and headers["trace"] != "patch"

    sendable = world.leat("dead", "list", "--lines")
    assert sendable.returncode == 1 and [json.loads(line)["body"] for line in sendable.stdout.splitlines()] == [{"nope": 1}, {"n": "many"}]
    assert sendable.stderr.count("is left out") == len(bad) - 2 and 'there is no route "elsewhere"' in sendable.stderr


@both
def test_a_parent_that_is_on_its_way(world_of):
    """A foreign key without its row waits for it: one whose parent comes is applied, one whose parent never comes is a
    dead letter once the patience is over."""
    world = world_of(shards=1, apply={"patience": "4s"}, table_sql="""
        create table parents (app int, id int primary key);
        create table things (app int, id int, parent int references parents (id), primary key (app, id));""",
        route={"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, 1, parent=7)
        patch(http, 1, 2, parent=8)
        patch(http, 1, 3)
    wait_until(lambda: world.rows("select id from things") == [(3,)], "the one without a parent")
    wait_until(lambda: world.metric(apply, "leat_subpartitions_stalled") >= 1, "the others to wait")
    assert dead(world) == []
    on_shards(world, "insert into parents values (1, 7)")
    wait_until(lambda: world.rows("select id from things order by id") == [(1,), (3,)], "the one whose parent came")
    wait_until(lambda: [(s) for _, s, _ in dead(world)] == ["23503"], "the other to be given up")


@both
def test_a_name_that_becomes_free(world_of):
    """Another unique constraint: the write waits until the name is free, or is a dead letter in the end. Records of one
    partition go in offset order, so a name may move from row to row."""
    world = world_of(shards=1, partitions=1, apply={"patience": "3s"},
                     table_sql="create table things (app int, id int, name text unique, primary key (app, id))",
                     route={"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app"})
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        for turn in range(20):
            patch(http, 1, turn % 5, name="the one")
            patch(http, 1, turn % 5, name=None)
        patch(http, 1, 6, name="taken")
        patch(http, 1, 7, name="taken")
    world.start("apply")
    wait_until(lambda: [s for _, s, _ in dead(world)] == ["23505"], "the one that never gets its name")
    assert world.rows("select name from things where name is not null") == [("taken",)]  # whichever came first
    assert len(world.rows("select 1 from things")) == 6


def test_waits_are_not_served_in_turn(world_of):
    """Writes to four rows, every fifth of which lacks its parent: those that queue behind another wait for as long as that one
    at the most, and not one after another."""
    family = """create table parents (id int primary key); insert into parents values (1);
        create table things (app int, id int, n bigint not null default 0, parent int references parents, primary key (app, id))"""
    world = world_of(shards=1, partitions=1, apply={"patience": "6s"}, table_sql=family, route={**ROUTE, "columns": {"n": "add"}, "fold": "off"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(300):
            patch(http, 1, number // 5 % 4, n=1, parent=7 if number % 5 == 0 else 1)
    wait_until(lambda: len(dead(world)) == 60, "those without a parent to be given up")
    wait_until(lambda: world.rows("select sum(n) from things") == [(240,)], "the others")
    assert {s for _, s, _ in dead(world)} == {"23503"} and world.metric(apply, "leat_tables_stopped") == 0


# ---- the scope of an error ----

def test_what_one_record_s_trigger_says_stops_that_record(world_of):
    """Whatever code it raises, the database's own or one that nobody knows: the others go on, the shard is not halted, and the
    record is a dead letter in the end, since others of its table get through."""
    states = ["08006", "25006", "28000", "38123", "42501", "53100", "57P03", "58030", "72000", "AB123", "HV000", "LT001", "XX000"]
    world = world_of(shards=1, partitions=1, apply={"patience": "2s"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(300):
            patch(http, 1, number, **({"fault": states[number // 20]} if number % 20 == 7 and number // 20 < len(states) else {"n": 1}))
        wait_until(lambda: len(world.rows("select 1 from things")) == 300 - len(states), "all others")
        assert world.metric(apply, "leat_shards_halted") == 0
        for number in itertools.count(300):
            patch(http, 1, number, n=1)  # there must be other records to compare them with
            if sorted(s for _, s, _ in dead(world)) == states:
                break
    assert world.metric(apply, "leat_shards_halted") == 0 and apply.alive()


def test_a_key_that_a_trigger_changes_has_patience_and_no_more(world_of):
    """The insert collides with a row whose key is never the record's: a dead letter with that reason."""
    notes = """create table notes (k text primary key, v text);
        create function lower_key() returns trigger language plpgsql as $$ begin new.k = lower(new.k); return new; end $$;
        create trigger lower_key before insert on notes for each row execute function lower_key();
        insert into notes values ('abc', 'x')"""
    world = world_of(shards=1, partitions=1, apply={"patience": "1s"}, table_sql=notes, route={"path": "/notes/{k}", "table": "notes"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for key in ["ABC", *(f"k{number}" for number in range(100))]:
            assert http.put(f"/notes/{key}", json={"v": "y"}).status_code == 202
    wait_until(lambda: [(s, "notes_pkey" in m) for _, s, m in dead(world)] == [("23505", True)], "the dead letter")
    wait_until(lambda: world.rows("select count(*) from notes where v = 'y'") == [(100,)], "all others")


# ---- contention ----

def test_an_insert_by_somebody_else_is_contention(world_of):
    """A foreign session inserts our key and commits while we wait: the write becomes an update, nothing is refused."""
    world = world_of(shards=1)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with psycopg.connect(world.dsns["a"]) as foreign, world.client(edge) as http:
        foreign.execute("insert into things (app, id, n) values (1, 1, 100)")
        patch(http, 1, 1, n=1)
        wait_until(lambda: world.rows("select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"),
                   "leat to wait for it")
        foreign.commit()
        wait_until(lambda: world.rows("select n from things") == [(101,)], "the write on top")
    assert dead(world) == [] and apply.alive()


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03", "57014", "53100", "53200", "58030"])
def test_contention_and_outages_pass(world_of, state):
    """While the database returns this for every write, nothing is given up, however long; when it stops, everything is applied."""
    world = world_of(shards=1, apply={"patience": "500ms"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    switch(world, state)
    with world.client(edge) as http:
        for number in range(20):
            patch(http, 1, number % 4, list=number)
    wait_until(lambda: world.metric(apply, "leat_batches_failed_total") >= 5, "some attempts")
    begin = time.monotonic()
    wait_until(lambda: time.monotonic() > begin + 1, "its patience to be over")
    assert world.rows("select 1 from things") == [] and dead(world) == []
    switch(world, None)
    wait_until(lambda: all(list_of(world, i) == [list(range(i, 20, 4))] for i in range(4)), "all of it, in order")


def test_a_statement_timeout_gets_smaller_batches(world_of):
    """A batch that never ends in time is halved until it does; a slow table is slow, not stuck."""
    world = world_of(shards=1, partitions=1)
    world.init()
    with world.db("a") as db:
        db.execute("create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); return new; end $$")
        db.execute("create trigger slow before insert on things for each row execute function slow()")
        db.execute(f"alter database {world.name} set statement_timeout = '300ms'")
    edge = world.start("edge")
    with world.client(edge) as http:
        for ident in range(200):
            patch(http, 1, ident, n=1)
    apply = world.start("apply")
    wait_until(lambda: len(world.rows("select 1 from things")) == 200, "all rows", timeout=120)
    wait_until(lambda: world.metric(apply, "leat_batches_failed_total") >= 1, "a failure to be counted")
    assert dead(world) == []


# ---- outages ----

def test_too_many_connections_leaves_it_fewer(world_of):
    """53300 with a connection left: it goes on with those it got."""
    world = world_of(shards=1)
    as_role(world, "connection limit 3")
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for ident in range(50):
            patch(http, 1, ident, n=1)
        wait_until(lambda: len(world.rows("select 1 from things")) == 50, "all rows")
        wait_until(lambda: world.metric(apply, "leat_shard_connect_failures_total") >= 1, "a connection to be refused")
        wait_until(lambda: 1 <= world.metric(apply, "leat_shard_connections") <= 3, "the connections it got")
    assert dead(world) == []


def end_sessions(world, role):
    with world.db("a") as db:
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (role,))


@pytest.mark.parametrize("broken, mended", [
    ("alter role {role} nologin", "alter role {role} login"),                                                # 28000
    ("alter database {name} with allow_connections false", "alter database {name} with allow_connections true"),  # 55000
    ("alter database {name} rename to {name}x", "alter database {name}x rename to {name}"),                   # 3D000
    ("alter role {role} set default_transaction_read_only = on", "alter role {role} reset default_transaction_read_only"),
])
def test_a_database_that_does_not_let_us_in(world_of, broken, mended):
    """Nothing is lost or given up while it lasts, however long; no restart is needed."""
    world = world_of(shards=1)
    role = as_role(world)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http, psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
        patch(http, 1, 1, n=1)
        wait_until(lambda: world.rows("select n from things") == [(1,)], "the first write")
        failures = world.metric(apply, "leat_shard_connect_failures_total")
        with_name = dict(role=role, name=world.name)

        def break_it():
            server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (role,))
            try:
                server.execute(broken.format(**with_name))
                return True
            except psycopg.errors.ObjectInUse:  # somebody was in again
                return False

        wait_until(break_it, "the fault")
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (role,))
        patch(http, 1, 1, n=1)
        wait_until(lambda: world.metric(apply, "leat_shard_connect_failures_total") > failures + 1
                   or world.metric(apply, "leat_batches_failed_total") > 1, "attempts in vain")
        server.execute(mended.format(**with_name))
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (role,))
        wait_until(lambda: world.rows("select n from things") == [(2,)], "the second write")
    assert dead(world) == []


def test_sessions_that_are_ended_again_and_again(world_of):
    """57P01 in the middle of batches: each write once, whatever happened to its first copy."""
    world = world_of(shards=1)
    role = as_role(world)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for number in range(300):
            patch(http, 1, number % 10, n=1, list=number)
            if number % 30 == 0:
                end_sessions(world, role)
    wait_until(lambda: all(list_of(world, i) == [list(range(i, 300, 10))] for i in range(10)), "each write once, in order")
    assert dead(world) == [] and world.metric(apply, "leat_shard_connects_total") > 4


# ---- drift ----

def test_rights_that_are_gone_are_waited_for(world_of):
    """42501 is not a fault of the data: that table waits, and this is logged; it goes on when they are back."""
    world = world_of(shards=1)
    role = as_role(world)
    world.init()
    with world.db("a") as db:
        db.execute("alter table things owner to current_user")
        db.execute(f"grant all on things, switch to {role}")
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, 1, list=0)
        wait_until(lambda: list_of(world, 1) == [[0]], "the first write")
        with world.db("a") as db:
            db.execute(f"revoke insert, update, select on things from {role}")
        for number in range(1, 10):
            patch(http, 1, 1, list=number)
        apply.wait_for("stalled by drift")
        assert dead(world) == []
        with world.db("a") as db:
            db.execute(f"grant insert, update, select on things to {role}")
        wait_until(lambda: list_of(world, 1) == [list(range(10))], "all of it, in order")
    assert dead(world) == []


@both
@pytest.mark.parametrize("broken, mended", [
    ("alter table things rename to others", "alter table others rename to things"),                            # 42P01
    ("alter table things rename column list to items", "alter table things rename column items to list"),      # 42703
])
def test_names_that_are_gone_are_waited_for(world_of, broken, mended):
    """A renamed table or column is not a fault of the data: its writes wait, and this is logged; they go on when it is back."""
    world = world_of(shards=1)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        patch(http, 1, 1, list=0)
        wait_until(lambda: list_of(world, 1) == [[0]], "the first write")
        on_shards(world, broken)
        for number in range(1, 10):
            patch(http, 1, 1, list=number)
        apply.wait_for("stalled by drift")
        assert dead(world) == []
        on_shards(world, mended)
        wait_until(lambda: list_of(world, 1) == [list(range(10))], "all of it, in order")
    assert dead(world) == []


# ---- the flood guard ----

REFUSE_EVEN = {"postgres": "alter table things add constraint odd check (id % 2 = 1)",
               "sqlite": "create trigger odd before insert on things when new.id % 2 = 0 begin select raise(abort, 'even'); end"}
TAKE_EVEN = {"postgres": "alter table things drop constraint odd", "sqlite": "drop trigger odd"}

@both
def test_many_dead_letters_stop_the_table(world_of):
    """More than the set number in a minute, and than the set share, is a changed table: what is refused waits from then on, good writes go on, and
    when the table is mended what waited is applied."""
    world = world_of(shards=1, apply={"dead_letters_per_minute": 5, "dead_letters_percent": 0})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    on_shards(world, REFUSE_EVEN[world.store.kind])
    with world.client(edge) as http:
        for ident in range(100):
            patch(http, ident, ident, n=1)  # a tenant each, whose window is its own
    wait_until(lambda: world.metric(apply, "leat_tables_stopped") == 1, "the table to be stopped")
    wait_until(lambda: world.metric(apply, "leat_subpartitions_stalled") >= 20, "the refused ones to wait")
    assert len(dead(world)) == 5
    on_shards(world, TAKE_EVEN[world.store.kind])
    wait_until(lambda: len(world.rows("select 1 from things")) == 95, "all but the dead letters")
    wait_until(lambda: world.metric(apply, "leat_tables_stopped") == 0, "the table to go on")
    assert len(dead(world)) == 5


# ---- not understood ----

def test_what_is_not_understood_halts_the_shard(world_of):
    """XX001: somebody has to look before more is written there. The shard's work stops, loudly, the other shard goes on,
    nothing is given up; once the database is well it goes on by itself."""
    world = world_of()
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http:
        for app in range(20):
            patch(http, app, 1, list=0)
        wait_until(lambda: len(world.rows("select 1 from things")) == 20, "every app's first write")
        ill = {app for app, in world.rows("select app from things", ["a"])}
        switch(world, "XX001", ["a"])
        for app in range(20):
            patch(http, app, 1, list=1)
        wait_until(lambda: world.metric(apply, "leat_shards_halted") == 1, "shard a to be halted")
        wait_until(lambda: len(world.rows("select 1 from things where list = '[0, 1]'", ["b"])) == 20 - len(ill), "shard b to go on")
        assert world.rows("select 1 from things where list = '[0, 1]'", ["a"]) == [] and dead(world) == []
        switch(world, None)
        wait_until(lambda: len(world.rows("select 1 from things where list = '[0, 1]'")) == 20, "shard a to go on")
        wait_until(lambda: world.metric(apply, "leat_shards_halted") == 0, "the metric")
    assert dead(world) == []


# ---- leat dead ----

@both
def test_dead_letters_can_be_listed_and_shown(world_of):
    world = world_of()
    world.init()
    edge = world.start("edge")
    none = world.leat("dead", "list")
    assert none.returncode == 0 and "no dead letters" in none.stdout
    at = {}
    with world.client(edge) as http:
        for app in range(6):
            at[app] = patch(http, app, 1, list=app, fault="P0001")
    world.start("apply")
    wait_until(lambda: len(dead(world)) == 6, "the dead letters")
    listed = [json.loads(line) for line in world.leat("dead", "list", "--json").stdout.splitlines()]
    assert {(l["partition"], l["offset"]) for l in listed} == {(a["partition"], a["offset"]) for a in at.values()}
    assert {l["source"] for l in listed} == {world.source_id()} and all(l["sqlstate"] == "P0001" and l["route"] == "things" and l["op"] == "patch" for l in listed)
    text = world.leat("dead", "list").stdout
    assert all(f"{app}/1" in text for app in range(6)) and "raised for the test" in text
    one = world.leat("dead", "show", str(at[3]["partition"]), str(at[3]["offset"]), "--json")
    assert one.returncode == 0 and json.loads(one.stdout)["body"] == {"list": 3, "fault": "P0001"}
    assert world.leat("dead", "show", str(at[3]["partition"]), str(at[3]["offset"])).stdout.count("raised for the test") == 1
    gone = world.leat("dead", "show", "0", "999999")
    assert gone.returncode == 1 and "999999" in gone.stderr
    assert world.leat("dead", "show", "0").returncode == 2
    assert world.leat("dead").returncode == 2
    assert len(world.leat("dead", "list", "--limit", "2", "--json").stdout.splitlines()) == 2


# What mends a table whose rows were refused, and a body that it refuses until then.
MENDED = {"postgres": ("alter table things drop constraint small", {"n": 5000}),
          "sqlite": ("drop trigger raise_fault_in; drop trigger raise_fault_up", {"n": 1, "fault": "P0001"})}


@both
def test_dead_letters_are_sent_again_and_have_one_effect(world_of):
    """As lines for `leat send`, twice. They are new writes: behind what was written to their rows since."""
    world = world_of()
    world.init()
    edge = world.start("edge")
    world.start("apply")
    mend, body = MENDED[world.store.kind]

    def lines(*arguments, code=0):
        done = world.leat("dead", "list", "--lines", *arguments)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout, done.stderr

    def send(text):
        return subprocess.run([world.program, "send", "-", "--url", world.url(edge)], input=text,
                              capture_output=True, text=True, timeout=60)

    with world.client(edge) as http:
        at = patch(http, 7, 1, **body, list=1)
        answer = http.patch("/apps/8/things/1", json={**body, "list": 1}, headers={"idempotency-key": "mine"})
        assert answer.status_code == 202, answer.text
        patch(http, 7, 1, list=2)
        wait_until(lambda: len(dead(world)) == 2, "the dead letters")
        wait_until(lambda: len(list_of(world, 1)) == 1, "the write behind one of them")
        text, _ = lines()
        assert sorted(map(json.loads, text.splitlines()), key=lambda item: item["path"]) == [
            {"method": "PATCH", "path": f"/apps/{app}/things/1", "body": {**body, "list": 1}, "idempotency_key": key}
            for app, key in ((7, f"dead-{world.source_id()}-{at['partition']}-{at['offset']}"), (8, "mine"))]
        only, _ = lines("--tenant", "8")
        assert only in text and json.loads(only)["path"] == "/apps/8/things/1"
        few, said = lines("--limit", "1", code=1)
        assert few.count("\n") == 1 and "there are more" in said
        for arguments in (["--lines", "--json"], ["--lines", "--held"], ["--tenant", "8"]):
            assert world.leat("dead", "list", *arguments).returncode == 2, arguments

        for shard in world.shard_names:
            with world.db(shard) as db:
                for statement in mend.split(";"):
                    db.execute(statement)
        for _ in range(2):
            done = send(text)
            assert done.returncode == 0 and "2 accepted" in done.stdout, (done.stdout, done.stderr)
        for app in 7, 8:
            patch(http, app, 1, list=3)

    lists = "select app, n, list from things where app in (7, 8)"
    def as_list(found):
        return found if isinstance(found, list) else json.loads(found)

    wait_until(lambda: sorted((app, n, as_list(l)) for app, n, l in world.rows(lists)) ==
               [(7, body["n"], [2, 1, 3]), (8, body["n"], [1, 3])], "each to be applied once, in that order")
    assert len(dead(world)) == 2
