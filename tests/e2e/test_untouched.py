"""Success that touched nothing is none: triggers that drop rows, row security and rules, before the start and while leat runs."""

import contextlib

import pytest

from lib.harness import wait_until

ROUTE = {"path": "/things/{app}/{id}", "table": "things", "columns": {"n": "add"}}
THINGS = "create table things (app int, id int, n bigint not null default 0, note text, primary key (app, id))"
STORED = "insert into things select 1, i, 10 from generate_series(1, 9) as i"
# Returns NULL for marked rows: those with id 7, whatever the operation.
DROP = """create function drop_seven() returns trigger language plpgsql as $$ begin
  if (case when tg_op = 'DELETE' then old.id else new.id end) = 7 then return null; end if;
  return case when tg_op = 'DELETE' then old else new end; end $$;
"""
TRIGGER = "create trigger drop_seven before insert or update or delete on {table} for each row execute function drop_seven()"
PATIENCE = {"apply": {"patience": "500ms"}}


def world_of(make_world, *sql, route=ROUTE, **settings):
    return make_world(log="local", shards=1, partitions=1, table_sql="; ".join(sql), route={**ROUTE, **route}, **{**PATIENCE, **settings})


def send(http, method, ident, body=None):
    answer = http.request(method, f"/things/1/{ident}", json=body)
    assert answer.status_code == 202, answer.text


def letters(world):
    return world.rows("select convert_from(key, 'UTF8'), op, sqlstate, message from leat.dead_letters order by partition, \"offset\"")


WRITES = {
    "delete": (STORED, "DELETE", None, "select id from things where app = 1", [(7,)]),
    "put of what is there": (STORED, "PUT", {"n": 3}, "select id from things where n <> 3", [(7,)]),
    "patch of what is there": (STORED, "PATCH", {"n": 3}, "select id from things where n <> 13", [(7,)]),
    "put of what is missing": ("select", "PUT", {"n": 3}, "select count(*) from things", [(8,)]),
    "patch of what is missing": ("select", "PATCH", {"note": "x"}, "select count(*) from things", [(8,)]),
}


@pytest.mark.parametrize("case", WRITES)
@pytest.mark.parametrize("table", ["things", "a partition"])
def test_what_a_trigger_drops_becomes_a_dead_letter(make_world, case, table):
    """One row of a batch of many: the others are applied, and the letter has the reason."""
    stored, method, body, question, left = WRITES[case]
    made, on = THINGS, "things"
    if table == "a partition":
        made, on = THINGS + " partition by list (app); create table part partition of things for values in (1)", "part"
    world = world_of(make_world, made, stored, DROP + TRIGGER.format(table=on))
    world.init()
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        with db.transaction():
            db.execute("lock things in exclusive mode")
            for ident in range(1, 10):
                send(http, method, ident, body)
        wait_until(lambda: letters(world), "the dead letter")
        wait_until(lambda: world.rows(question) == left, "the other rows")
    (key, op, sqlstate, message), = letters(world)
    assert (key, op, sqlstate) == ("1/7", method.lower(), "LT008")
    assert "without an error but touched no row: a BEFORE trigger (drop_seven) returned NULL" in message
    wait_until(lambda: world.metric(process, "leat_records_applied_total") == 8, "the count of the others")


def test_a_default_that_is_another_each_time_hides_nothing(make_world):
    """Each PUT that is dropped is found, though the others' rows change or not as their default happens to come out; and none of
    those is blamed."""
    world = world_of(make_world, THINGS + "; alter table things add sampled int not null default floor(random() * 2)", STORED,
                     DROP + TRIGGER.format(table="things"), **{"apply": {**PATIENCE["apply"], "dead_letters_per_minute": 1000}})
    world.init()
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        for turn in range(1, 9):
            with db.transaction():
                db.execute("lock things in exclusive mode")
                for ident in range(1, 10):
                    send(http, "PUT", ident, {"n": turn if ident == 7 else 0})
            done = lambda: world.metric(process, "leat_records_applied_total") + len(letters(world))  # noqa: E731
            wait_until(lambda: done() == turn * 9, "this batch")
    assert [letter[0] for letter in letters(world)] == ["1/7"] * 8


def test_a_trigger_that_changes_or_leaves_rows_drops_none(make_world):
    """A trigger that normalises, one that sets a time, writes that change nothing and rows that are not there: no letters."""
    world = world_of(make_world, THINGS, STORED, """
        create function tidy() returns trigger language plpgsql as $$ begin
          if tg_op = 'DELETE' then return old; end if; new.note := lower(new.note); return new; end $$;
        create trigger tidy before insert or update or delete on things for each row execute function tidy()""")
    world.init()
    process = world.start("run")
    with world.client(process) as http:
        for ident in range(1, 15):
            send(http, "PATCH", ident, {"note": "ABC"})
            send(http, "PUT", ident, {"n": 10, "note": "abc"})
            send(http, "PATCH", ident, {"n": 0})
            send(http, "DELETE", ident + 5)
            send(http, "PATCH", ident, {})
        wait_until(lambda: world.metric(process, "leat_records_applied_total") == 70, "all writes")
    assert letters(world) == []


def test_a_route_may_accept_what_a_trigger_drops(make_world):
    world = world_of(make_world, THINGS, STORED, DROP + TRIGGER.format(table="things"), route={"untouched": "accept"})
    world.init()
    process = world.start("run")
    with world.client(process) as http:
        for ident in range(1, 10):
            send(http, "DELETE", ident)
        wait_until(lambda: world.metric(process, "leat_records_applied_total") == 9, "all writes")
    assert letters(world) == [] and world.rows("select id from things") == [(7,)]


@pytest.mark.parametrize("table", ["things", "a partition", "a new partition"])
def test_a_trigger_made_while_leat_runs(make_world, table):
    """leat's knowledge of the table is older than the trigger; no write is lost because of that."""
    made, on = THINGS, "things"
    if table != "things":
        made, on = THINGS + " partition by list (app); create table part partition of things for values in (1)", "part"
    world = world_of(make_world, made, STORED, DROP, catalog_every="1h")
    world.init()
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        send(http, "PATCH", 1, {"n": 1})
        wait_until(lambda: world.rows("select n from things where id = 1") == [(11,)], "the first write")
        if table == "a new partition":
            db.execute("create table fresh (like things including all); insert into fresh values (1, 7, 10);"
                       + TRIGGER.format(table="fresh") +
                       "; begin; alter table things detach partition part; alter table things attach partition fresh for values in (1);"
                       " commit")
        else:
            db.execute(TRIGGER.format(table=on))
        for ident in (6, 7, 8):
            send(http, "DELETE", ident)
        wait_until(lambda: letters(world), "the dead letter")
        wait_until(lambda: world.rows("select id from things where id between 6 and 8") == [(7,)], "the others")
    assert [row[:3] for row in letters(world)] == [("1/7", "delete", "LT008")]


# --- row security -------------------------------------------------------------------------------------------------------

SECURED = "alter table things enable row level security; create policy one on things using (id <> 7)"


@contextlib.contextmanager
def plain_role(world, owner=False):
    """leat's role is one without privileges of its own; the owner of the table where wanted."""
    role = "r" + world.name
    with world.db("a") as db:
        db.execute(f"create role {role} login")
        db.execute(f"grant usage on schema leat to {role}; grant execute on all functions in schema leat to {role};"
                   f"grant select, insert, update, delete on all tables in schema leat to {role};"
                   f"grant select, insert, update, delete on things to {role}")
        if owner:
            db.execute(f"alter table things owner to {role}")
    world.settings["shards"][0]["dsn"] = world.dsns["a"].replace("user=dev", f"user={role}")
    world.write_config()
    try:
        yield role
    finally:
        for process in world.processes:
            process.kill()
        with world.db("a") as db:
            db.execute(f"reassign owned by {role} to dev; drop owned by {role}; drop role {role}")


@pytest.mark.parametrize("forced", [False, True])
def test_row_security_is_refused_before_the_start(make_world, forced):
    """For a role that it applies to: any that is not the owner, and the owner too where it is forced."""
    world = world_of(make_world, THINGS, STORED, SECURED)
    world.init()
    with plain_role(world, owner=True) as role, world.db("a") as db:
        assert "row security" not in world.leat("check").stdout
        db.execute("alter table things force row level security" if forced else "alter table things owner to dev")
        db.execute(f"grant select, insert, update, delete on things to {role}")
        said = world.leat("check")
        assert said.returncode == 3 and "row security applies to leat's role" in said.stdout
        started = world.leat("run")
        assert started.returncode != 0 and "row security applies to leat's role" in started.stderr
        db.execute(f"alter role {role} bypassrls")
        assert "row security" not in world.leat("check").stdout


def test_row_security_switched_on_while_leat_runs(make_world):
    """Writes wait until it is off again for leat's role: none is taken for applied."""
    world = world_of(make_world, THINGS, STORED, catalog_every="1h")
    world.init()
    with plain_role(world) as role, world.db("a") as db:
        process = world.start("run")
        with world.client(process) as http:
            send(http, "PATCH", 1, {"n": 1})
            wait_until(lambda: world.rows("select n from things where id = 1") == [(11,)], "the first write")
            db.execute(SECURED)
            for method, ident, body in (("DELETE", 7, None), ("PATCH", 8, {"n": 1}), ("PUT", 9, {"n": 1})):
                send(http, method, ident, body)
            process.wait_for("stalled by drift")
            assert "sqlstate=42501" in process.text()
            wait_until(lambda: world.metric(process, "leat_records_applied_total") == 1, "the count of the first write")
            db.execute(f"alter role {role} bypassrls")
            wait_until(lambda: world.metric(process, "leat_records_applied_total") == 4, "all writes")
        assert world.rows("select id, n from things where id >= 7 order by id") == [(8, 11), (9, 1)]
        assert letters(world) == []


def test_row_security_may_be_accepted(make_world):
    world = world_of(make_world, THINGS, STORED, SECURED, route={"row_security": "accept"})
    world.init()
    with plain_role(world):
        process = world.start("run")
        with world.client(process) as http:
            for ident in (6, 7, 8):
                send(http, "DELETE", ident)
            wait_until(lambda: world.metric(process, "leat_records_applied_total") == 3, "all writes")
        assert world.rows("select id from things where id between 6 and 8") == [(7,)]


# --- rules --------------------------------------------------------------------------------------------------------------

RULES = {"nothing": "do instead nothing", "elsewhere": "do instead insert into gone values (old.id)",
         "another": "do instead update things set note = 'gone' where id = old.id and app = old.app returning old.*"}


@pytest.mark.parametrize("rule", RULES)
def test_rules_are_refused(make_world, rule):
    """Before the start; and if it is made while leat runs, a DELETE waits instead of becoming the rule's action."""
    world = world_of(make_world, THINGS, STORED, "create table gone (id int)", catalog_every="1h")
    world.init()
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        send(http, "DELETE", 1)
        wait_until(lambda: world.rows("select count(*) from things") == [(8,)], "the first DELETE")
        db.execute(f"create rule instead as on delete to things {RULES[rule]}")
        send(http, "DELETE", 2)
        process.wait_for("stalled by drift")
        process.wait_for('reason="cannot execute MERGE')
        said = world.leat("check")
        assert said.returncode == 3 and "it has rules" in said.stdout
        wait_until(lambda: world.metric(process, "leat_records_applied_total") == 1, "the count of the first DELETE")
        db.execute("drop rule instead on things")
        wait_until(lambda: world.rows("select count(*) from things") == [(7,)], "the DELETE that waited")
    assert letters(world) == [] and world.rows("select count(*) from gone") == [(0,)]
