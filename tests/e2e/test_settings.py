"""Settings of the role or database change no row that leat writes, and leat's own reach nothing of the table's."""

import contextlib

import pytest

from lib.harness import wait_until

# Defaults that are text in leat's statements, functions found by search_path, and types whose text form a setting changes.
TABLE = r"""
create schema other;
create function other.lower(text) returns text language sql immutable as $$ select 'hijacked' $$;
create function other.jsonb_typeof(jsonb) returns text language sql immutable as $$ select 'array' $$;
create function public.named() returns text language plpgsql as $$ begin return public.word(); end $$;
create function public.word() returns text language sql as $$ select 'found' $$;
create sequence public.counted;
create function public.next_one() returns bigint language sql as $$ select nextval('public.counted') $$;
create domain span as interval check (value < '100 years');
create domain must as int[] not null;
create domain spot as double precision;
create table public.things (
    id int primary key, i2 smallint, f4 real, f8 double precision, num numeric, t text, d date, ti time, ts timestamp,
    tz timestamptz, iv interval, sp span, raw bytea, raws bytea[], jb jsonb default '{"k": 1}', js json, ints int[],
    texts text[], dates date[], zones timestamptz[], spans interval[], reals float8[], cash money, x xml, p point, sf spot,
    many must default '{1,NULL}', during tstzrange,
    slashed text default 'a\b\\c', quoted text default E'it''s \\ "x"\n', lowered text default lower('ABC'),
    calls text default public.named(), words text[] default '{NULL,a}', since interval default '-1 day +02:00:00',
    born date default '2026-02-01', third float8 default 1.0000000000000002, noted boolean default ((null = null) is null),
    hexed bytea default '\x00ff', ticket bigint default public.next_one());
"""
FULL = {
    "i2": -3, "f4": 0.1, "f8": 0.30000000000000004, "num": "1.10", "t": "NULL \\ 'x'", "d": "2026-02-01", "ti": "01:02:03",
    "ts": "2026-02-01T01:02:03", "tz": "2026-02-01T01:02:03Z", "iv": "-1 2:03:04", "sp": "-1-2", "raw": "AP+A",
    "raws": ["\\x00ff", None], "jb": {"a": None, "k": 2}, "js": {"z": 1, "a": 2}, "ints": [1, None, 3],
    "texts": ["NULL", None, "null", ""], "dates": ["02/01/2026", "2026-03-04"], "zones": ["2026-02-01 01:02:03", "02/03/2026 04:05"],
    "spans": ["-1 2:03:04", "P1Y2M"], "reals": [0.30000000000000004, 1e300], "cash": 12.34, "x": "one<a/>two",
    "p": "(0.30000000000000004,2)", "sf": 0.30000000000000004, "many": [None], "during": "[2026-02-01 00:00,2026-03-01 00:00)",
}
ROUTE = {"path": "/things/{id}", "table": "public.things", "columns": {"jb": "merge", "i2": "add", "f8": "max"}}

SETTINGS = {
    "array_nulls": ["off"], "datestyle": ["German, DMY", "SQL, DMY", "Postgres, YMD"], "intervalstyle": ["sql_standard", "iso_8601"],
    "timezone": ["Pacific/Chatham"], "extra_float_digits": ["-15"], "bytea_output": ["escape"], "xmloption": ["document"],
    "xmlbinary": ["hex"], "standard_conforming_strings": ["off"], "backslash_quote": ["off", "on"], "transform_null_equals": ["on"],
    "search_path": ["other, pg_catalog, public", "other, public", "''"], "plpgsql.variable_conflict": ["use_column", "use_variable"],
    "plpgsql.extra_errors": ["all"], "row_security": ["off"], "quote_all_identifiers": ["on"], "client_encoding": ["LATIN1"],
    "default_transaction_isolation": ["serializable", "repeatable read"], "default_transaction_deferrable": ["on"],
    "statement_timeout": ["50s"], "lock_timeout": ["40s"], "idle_in_transaction_session_timeout": ["30s"], "enable_nestloop": ["off"],
    "enable_indexscan": ["off"], "plan_cache_mode": ["force_custom_plan"], "client_min_messages": ["error"], "jit_above_cost": ["0"],
    "constraint_exclusion": ["on"], "escape_string_warning": ["off"], "gin_fuzzy_search_limit": ["1"],
}
CASES = [(name, value) for name, values in SETTINGS.items() for value in values]
# A row is written in another way where BEFORE triggers may drop it, and planned in another where one fires before rows are read.
NO_OP = """; create function no_op() returns trigger language plpgsql as $$ begin if tg_op = 'DELETE' then return old; end if; return new; end $$;
create trigger no_op before insert or update or delete on public.things for each """
MEANING = ("array_nulls", "datestyle", "intervalstyle", "timezone", "xmloption", "standard_conforming_strings", "transform_null_equals", "search_path")


@contextlib.contextmanager
def database_setting(world, name, value):
    """For all sessions that begin from here on, except those with settings of their own."""
    with world.db("a") as db:
        database = db.info.dbname
        quoted = value if name == "search_path" else "'" + value + "'"
        db.execute(f"alter database {database} set {name} = {quoted}")
    try:
        yield
    finally:
        with world.db("a") as db:
            db.execute(f"alter database {database} reset {name}")


def rows_of(world, first):
    """The six rows from id `first` on, read under settings of the reader's own."""
    with world.db("a") as db:
        db.execute("set datestyle = 'ISO, MDY'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set extra_float_digits = 3;"
                   "set bytea_output = 'hex'; set xmloption = 'content'; set search_path = 'public'; set array_nulls = on;"
                   "set default_transaction_isolation = 'read committed'; set client_encoding = 'UTF8'; set enable_indexscan = on")
        columns = [row[0] for row in db.execute("select attname from pg_attribute where attrelid = 'things'::regclass and attnum > 1"
                                                " and attname <> 'ticket' order by attnum").fetchall()]
        listed = ", ".join(f"{c}::text" for c in columns)
        rows = db.execute(f"select id - {first}, {listed}, ticket is null from things where id >= {first} order by id").fetchall()
        return {row[0]: dict(zip([*columns, "ticket"], row[1:])) for row in rows}


def write_all(world, first):
    """Every operation: a PUT of all and of nothing, PATCHes of different columns in one batch, changes in the last digit."""
    process = world.start("run")
    applied = lambda: world.metric(process, "leat_records_applied_total")  # noqa: E731
    with world.client(process) as http:
        def send(method, ident, body=None):
            answer = http.request(method, f"/things/{first + ident}", json=body)
            assert answer.status_code == 202, answer.text

        send("PUT", 0, FULL)
        send("PUT", 1, {"t": "of defaults"})
        send("PATCH", 2, {"t": "of defaults too", "texts": [None]})
        for ident, (column, value) in enumerate(FULL.items()):
            send("PATCH", 3, {column: value})
        send("PUT", 4, FULL)
        send("PUT", 5, FULL)
        wait_until(lambda: applied() == 5 + len(FULL), "the first writes")
        send("PATCH", 4, {"reals": [0.3, 1e300], "p": "(0.3,2)", "sf": 0.3, "f8": 1e301})
        send("PATCH", 4, {"jb": {"k": None, "n": {"m": 1}}, "texts": [None, "NULL"]})
        send("PUT", 0, FULL)
        send("PUT", 1, {"slashed": "x"})
        send("DELETE", 5)
        wait_until(lambda: applied() == 10 + len(FULL), "all writes")
    assert process.terminate() == 0
    return rows_of(world, first)


@pytest.mark.parametrize("trigger", ["none", "row", "statement"])
def test_no_setting_changes_a_row(make_world, trigger):
    table = TABLE if trigger == "none" else TABLE + NO_OP + trigger + " execute function no_op()"
    cases = CASES if trigger == "none" else [case for case in CASES if case[0] in MEANING]
    world = make_world(log="local", shards=1, partitions=1, table_sql=table, route=ROUTE)
    world.init()
    plain = write_all(world, 0)
    assert plain[0]["texts"] == '{"NULL",NULL,"null",""}' and plain[0]["ints"] == "{1,NULL,3}"
    assert plain[0]["dates"] == "{2026-02-01,2026-03-04}" and plain[0]["zones"].startswith('{"2026-02-01 01:02:03+00"')
    assert plain[4]["reals"] == "{0.3,1e+300}" and plain[4]["p"] == "(0.3,2)" and plain[4]["sf"] == "0.3"
    assert plain[1]["slashed"] == "x" and plain[2]["slashed"] == "a\\b\\\\c" and plain[1]["lowered"] == "abc"
    assert 5 not in plain
    different = {}
    for number, (name, value) in enumerate(cases, 1):
        with database_setting(world, name, value):
            try:
                rows = write_all(world, number * 1000)
            except AssertionError as error:
                different[name, value] = str(error)[:300]
                world.processes[-1].kill()
                continue
        rows = {ident: row for ident, row in rows.items() if ident < 1000}
        if rows != plain:
            different[name, value] = [(ident, column, plain[ident][column], rows.get(ident, {}).get(column))
                                      for ident in plain for column in plain[ident]
                                      if rows.get(ident, {}).get(column) != plain[ident][column]]
    assert not different


# --- what the table's own code sees -------------------------------------------------------------------------------------

WATCHED = ["plan_cache_mode", "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit", "datestyle", "intervalstyle", "timezone",
           "array_nulls", "search_path", "standard_conforming_strings", "transform_null_equals", "xmloption", "row_security"]
CUSTOM = """
alter database {database} set datestyle = 'German, DMY'; alter database {database} set timezone = 'Pacific/Chatham';
alter database {database} set intervalstyle = 'iso_8601'; alter database {database} set array_nulls = off;
alter database {database} set search_path = public, pg_catalog; alter database {database} set standard_conforming_strings = off;
alter database {database} set xmloption = document; alter database {database} set jit = on;
"""
TRIGGERS = """
create table seen (what text, settings text, plan text);
create table one (a int, x int); create table two (b int, y int);
insert into one select g, g from generate_series(1, 3000) as g; insert into two select g, g from generate_series(1, 3000) as g;
analyze one; analyze two;
create function plan_of() returns text language plpgsql as $f$ declare l text; p text := ''; begin
  for l in execute 'explain (costs off) select count(*) from one join two on one.a = two.b where one.x + two.y > 5' loop p := p || l; end loop;
  return p; end $f$;
create function settings_of() returns text language sql as $f$
  select string_agg(n || '=' || current_setting(n), ';' order by n) from unnest('{%s}'::text[]) as n $f$;
create function watch() returns trigger language plpgsql as $f$ begin
  insert into public.seen values (concat_ws(' ', tg_argv[0], tg_when, tg_op, tg_level), public.settings_of(), public.plan_of());
  if tg_when = 'BEFORE' and tg_op = 'DELETE' then return old; end if; return new; end $f$;
create function made() returns text language plpgsql as $f$ begin
  insert into public.seen values ('default', public.settings_of(), public.plan_of()); return 'made'; end $f$;
create function is_fine(text) returns boolean language plpgsql as $f$ begin
  insert into public.seen values ('check', public.settings_of(), public.plan_of()); return true; end $f$;
create table things (id int primary key, n int, iv interval, made text default made(), check (is_fine(made)));
%s
create constraint trigger late after insert or update or delete on things deferrable initially deferred
  for each row execute function watch('deferred');
"""
ROW = "create trigger {when}_row {when} insert or update or delete on things for each row execute function watch();"
STATEMENT = "create trigger {when}_all {when} insert or update or delete on things for each statement execute function watch();"


# A BEFORE trigger for the statement fires while the meaning of texts in the statement is still fixed.
FIXED = ("array_nulls", "standard_conforming_strings", "transform_null_equals", "xmloption", "intervalstyle", "search_path")


def is_the_same(what, seen, plain):
    """Of settings as "name=value;..."."""
    of = [{pair.partition("=")[0]: pair for pair in text.split(";")} for text in (seen, plain)]
    fixed = FIXED if what.startswith("BEFORE") and what.endswith("STATEMENT") else ()
    return all(of[0][name] == of[1][name] for name in of[1] if name not in fixed)


def trigger_sql(before_statement, before_row):
    made = [ROW.format(when="after"), STATEMENT.format(when="after")]
    made += [ROW.format(when="before")] if before_row else []
    made += [STATEMENT.format(when="before")] if before_statement else []
    return TRIGGERS % (",".join(WATCHED), "\n".join(made))


@pytest.mark.parametrize("before_statement", [False, True])
@pytest.mark.parametrize("before_row", [False, True])
def test_triggers_defaults_and_checks_see_the_session_as_it_is(make_world, before_statement, before_row):
    """Settings and the plan of a join, in every kind of trigger, a default, a constraint and at the commit, in batches of
    several statements: as for any other session of the database."""
    world = make_world(log="local", shards=1, partitions=1, table_sql=trigger_sql(before_statement, before_row),
                       route={"path": "/things/{id}", "table": "public.things", "columns": {"n": "add"}})
    with world.db("a") as db:
        db.execute(CUSTOM.format(database=db.info.dbname))
    world.init()
    with world.db("a") as db:
        db.execute("insert into public.things values (-1, 1, 'P1D')")
        settings, plan = db.execute("select settings, plan from public.seen limit 1").fetchone()
        db.execute("delete from public.things")
        assert db.execute("select count(distinct (settings, plan)) from public.seen").fetchone() == (1,)
        db.execute("truncate public.seen")
    assert "Hash" in plan and "enable_seqscan=on" in settings and "timezone=Pacific/Chatham" in settings
    process = world.start("run")
    with world.client(process) as http, world.db("a") as db:
        assert http.put("/things/0", json={"n": 1}).status_code == 202
        wait_until(lambda: world.rows("select count(*) from public.things") == [(1,)], "the first row")
        # While a row is locked later writes gather and become one batch of many statements.
        with db.transaction():
            db.execute("lock public.things in exclusive mode")
            for ident in range(1, 40):
                http.put(f"/things/{ident}", json={"n": ident, "iv": "1 day"} if ident % 2 else {"n": ident})
            for ident in range(1, 40, 3):
                http.patch(f"/things/{ident}", json={"n": 5})
                http.patch(f"/things/{ident}", json={"iv": "2 days"})
            for ident in range(1, 40, 5):
                http.delete(f"/things/{ident}")
        wait_until(lambda: world.metric(process, "leat_records_applied_total") == 74, "all writes")
        seen = db.execute("select distinct what, settings, plan from public.seen").fetchall()
        assert [row for row in seen if row[2] != plan or not is_the_same(row[0], row[1], settings)] == []
        kinds = {row[0] for row in db.execute("select distinct what from public.seen").fetchall()}
    assert {"default", "check", "deferred AFTER INSERT ROW", "AFTER INSERT ROW", "AFTER DELETE STATEMENT"} <= kinds
    assert ("BEFORE INSERT STATEMENT" in kinds) == before_statement and ("BEFORE UPDATE ROW" in kinds) == before_row


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_batches_say_their_own_isolation(make_world, level):
    """Claims, batches, compactions and init work whatever transactions begin with; the server has nothing to warn of."""
    world = make_world(log="local", shards=1, partitions=2, table_sql="create table things (id int primary key, n int)",
                       route={"path": "/things/{id}", "table": "things", "columns": {"n": "add"}})
    with world.db("a") as db:
        db.execute(f"alter database {db.info.dbname} set default_transaction_isolation = '{level}'")
    world.settings["apply"] = {**world.settings.get("apply", {}), "compact_every": "100ms"}
    world.write_config()
    world.init()
    world.settings["log_level"] = "debug"
    world.write_config()
    process = world.start("run")
    with world.client(process) as http:
        for ident in range(20):
            assert http.patch(f"/things/{ident % 5}", json={"n": 1}).status_code == 202
    wait_until(lambda: world.rows("select sum(n) from things") == [(20,)], "the writes")
    wait_until(lambda: world.rows("select count(*) from leat.progress") == [(0,)], "compactions")
    assert process.text().count("every transaction sets it by one more command") == 1
    assert "can only be used in transaction blocks" not in process.text() and " error " not in process.text()
