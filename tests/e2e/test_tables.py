"""Tables as people have them: every type, generated and identity columns, odd names, partitions, triggers; from HTTP to row."""

import re

import pytest

from lib.harness import both, wait_until

EVERYTHING = """
create type mood as enum ('sad', 'happy');
create domain positive as int check (value > 0);
create domain word as text;
create table things (
    id bigint primary key,
    b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, num numeric, money_like numeric(8, 2),
    t text, vc varchar(10), ch char(4), u uuid, d date, ti time, ts timestamp, tz timestamptz, iv interval,
    raw bytea, jb jsonb, js json, m mood, pos positive, w word, ints int[], texts text[][], net inet, span int4range,
    bits bit(3), x xml, p point, moods mood[]);
"""
VALUES = {
    "b": (True, "true"), "i2": (-32768, "-32768"), "i4": ("2147483647", "2147483647"), "i8": (-(2**63), str(-(2**63))),
    "f4": (1.5, "1.5"), "f8": ("-Infinity", "-Infinity"), "num": ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    "money_like": (1.005, "1.01"), "t": ("ü 'quoted' \\ \"x\"", "ü 'quoted' \\ \"x\""), "vc": ("0123456789", "0123456789"), "ch": ("ab", "ab"),
    "u": ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "d": ("2026-02-28", "2026-02-28"),
    "ti": ("23:59:59.5", "23:59:59.5"), "ts": ("2026-01-02T03:04:05.25", "2026-01-02 03:04:05.25"),
    "tz": ("2026-01-02T03:04:05+02:00", "2026-01-02 01:04:05+00"), "iv": ("1 day 02:00:00", "1 day 02:00:00"),
    "raw": ("AP+A", "\\x00ff80"), "jb": ({"a": [1, None, {"b": 1.10}]}, '{"a": [1, null, {"b": 1.1}]}'), "js": ({"z": 1, "a": 2}, '{"z":1,"a":2}'),
    "m": ("happy", "happy"), "pos": (5, "5"), "w": ("word", "word"), "ints": ([1, None, 3], "{1,NULL,3}"),
    "texts": ([["a", "b,c"], ["d\"", "null"]], '{{a,"b,c"},{"d\\"","null"}}'), "net": ("10.0.0.1/8", "10.0.0.1/8"), "span": ("[1,5)", "[1,5)"),
    "bits": ("101", "101"), "x": ("<a>1</a>", "<a>1</a>"), "p": ("(1,2)", "(1,2)"), "moods": (["sad", "happy"], "{sad,happy}"),
}


def texts_of(world, columns):
    with world.db("a") as db:
        db.execute("set timezone = 'UTC'")
        listed = ", ".join(f'"{c}"::text' for c in columns)
        return [list(row) for row in db.execute(f"select {listed} from things order by 1").fetchall()]


def test_every_type_by_put_patch_and_null(make_world):
    """Each column by its JSON form: PUT in whole, PATCH one by one, NULL over it, and PUT again to the defaults."""
    world = make_world(shards=1, table_sql=EVERYTHING, route={"path": "/things/{id}", "table": "things"})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    columns, wanted = list(VALUES), [text for _, text in VALUES.values()]
    with world.client(edge) as http:
        def put(body, method="PUT", ident=1):
            answer = http.request(method, f"/things/{ident}", json=body)
            assert answer.status_code == 202, answer.text

        put({c: value for c, (value, _) in VALUES.items()})
        wait_until(lambda: texts_of(world, columns), "the row")
        assert texts_of(world, columns) == [wanted]
        put({})
        wait_until(lambda: texts_of(world, columns) == [[None] * len(columns)], "all defaults")
        for column, (value, _) in VALUES.items():
            put({column: value}, "PATCH")
        wait_until(lambda: texts_of(world, columns) == [wanted], "the row, column by column")
        for column in columns:
            put({column: None}, "PATCH")
        wait_until(lambda: texts_of(world, columns) == [[None] * len(columns)], "NULL everywhere")
    assert world.rows("select 1 from leat.dead_letters") == []
    assert world.metric(apply, "leat_batches_failed_total") == 0


def test_values_that_only_the_database_can_judge(make_world):
    """PostgreSQL checks values that leat passes on as text; values that leat can check itself never get into the log."""
    world = make_world(shards=1, table_sql=EVERYTHING, route={"path": "/things/{id}", "table": "things"})
    world.init()
    edge = world.start("edge")
    world.start("apply")
    later = [{"m": "angry"}, {"pos": 0}, {"ints": "{1"}, {"net": "nowhere"}, {"ch": "abcde"}, {"bits": "10"}, {"iv": "soon"}]
    at_once = [{"d": "2026-02-30"}, {"ti": "24:00:01"}, {"ts": "2026-01-02T03:04:05Z"}, {"raw": "AP+"}, {"f4": 1e300}, {"m": {"a": 1}},
               {"i2": 40000}, {"u": "1"}, {"jb": {"a": "\u0000"}}, {"ints": [1, {"a": 1}]}]
    with world.client(edge) as http:
        for ident, body in enumerate(later):
            assert http.patch(f"/things/{ident}", json=body).status_code == 202
        for body in at_once:
            answer = http.patch("/things/1", json=body)
            assert answer.status_code == 422 and answer.json()["field"] == next(iter(body)), (body, answer.text)
        assert http.patch("/things/100", json={"pos": 1}).status_code == 202
    wait_until(lambda: len(world.rows("select 1 from leat.dead_letters")) == len(later), "the dead letters")
    states = {state for state, in world.rows("select sqlstate from leat.dead_letters")}
    assert states <= {"22P02", "23514", "22001", "22026", "22007"}
    wait_until(lambda: world.rows("select id from things") == [(100,)], "the good one")


ODD = """
create schema "Odd Schema";
create table "Odd Schema"."Table ""of"" things" (
    "Second" text, "first key" int, "select" int not null default 3, "it's" text default 'x''y', number int generated by default as identity,
    always int generated always as identity, twice int generated always as ("select" * 2) stored, born date default date '2020-01-01' + 1,
    primary key ("first key", "Second")) partition by hash ("first key");
create table "Odd Schema".p0 partition of "Odd Schema"."Table ""of"" things" for values with (modulus 2, remainder 0);
create table "Odd Schema".p1 partition of "Odd Schema"."Table ""of"" things" for values with (modulus 2, remainder 1);
create table seen (n int not null);
insert into seen values (0);
create function count_up() returns trigger language plpgsql as $$ begin update seen set n = n + 1; return null; end $$;
create trigger count_up after insert or update or delete on "Odd Schema"."Table ""of"" things" for each row execute function count_up();
"""


def test_odd_names_partitions_identity_generated_and_triggers(make_world):
    """A partitioned table with quoted names everywhere, a composite key whose order is not that of the columns, identity and
    generated columns, defaults that are expressions, and a trigger."""
    world = make_world(shards=1, table_sql=ODD, route={
        "path": "/odd/{Second}/of/{first key}", "table": 'Odd Schema.Table "of" things', "name": "odd", "columns": {"select": "add"}})
    world.init()
    edge = world.start("edge")
    world.start("apply")
    table = '"Odd Schema"."Table ""of"" things"'
    with world.client(edge) as http:
        for number in range(20):
            assert http.patch(f"/odd/a%2Fb%20{number}/of/{number}", json={"select": number}).status_code == 202
        wait_until(lambda: len(world.rows(f"select 1 from {table}")) == 20, "the rows")
        rows = world.rows(f'select "Second", "first key", "select", "it\'s", twice, born::text, number, always from {table} order by 2')
        assert [r[:6] for r in rows] == [(f"a/b {n}", n, 3 + n, "x'y", 2 * (3 + n), "2020-01-02") for n in range(20)]
        numbers = {r[6] for r in rows}  # with gaps where a batch was tried again: all rows' triggers lock one row
        assert len(numbers) == 20 and min(numbers) > 0 and numbers == {r[7] for r in rows}
        assert http.patch("/odd/x/of/1", json={"always": 1}).status_code == 422
        assert http.patch("/odd/x/of/1", json={"twice": 1}).status_code == 422
        assert http.put("/odd/a%2Fb%200/of/0", json={"it's": "new", "number": 77}).status_code == 202
        assert http.delete("/odd/a%2Fb%201/of/1").status_code == 202
        wait_until(lambda: world.rows(f'select "select", "it\'s", number from {table} where "first key" = 0') == [(3, "new", 77)], "the PUT")
        wait_until(lambda: len(world.rows(f"select 1 from {table}")) == 19, "the DELETE")
    assert world.rows("select n from seen") == [(22,)]
    assert {p for p, in world.rows(f"select distinct tableoid::regclass::text from {table}")} == {'"Odd Schema".p0', '"Odd Schema".p1'}
    assert world.rows("select 1 from leat.dead_letters") == []


OPERATIONS = """
create table things (
    id int primary key, n int default 5, bare int, high int default 10, low timestamptz, name text collate "C", doc jsonb default '{"a": {"b": 1}}',
    list jsonb, price numeric(6, 2) default 1);
"""
PRICES = {"postgres": ("1.00", "1.13", "1.26"), "sqlite": ("1", "1.125", "1.25")}  # SQLite has no decimal numbers


@both
@pytest.mark.parametrize("patch", ["upsert", "existing"])
def test_the_semantics_table(make_world, patch):
    """PATCH of a missing row, of NULLs and of stored values, operation by operation, with and without `patch: existing`."""
    world = make_world(shards=1, table_sql={"postgres": OPERATIONS, "sqlite": OPERATIONS.replace(' collate "C"', "")}, route={
        "path": "/things/{id}", "table": "things", "patch": patch,
        "columns": {"n": "add", "bare": "add", "high": "max", "low": "min", "name": "max", "doc": "merge", "list": "append", "price": "add"}})
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    body = {"n": 1, "bare": 2, "high": 7, "low": "2026-01-01T00:00:00Z", "name": "b", "doc": {"a": {"c": 2}}, "list": [1], "price": 0.125}
    with world.client(edge) as http:
        assert http.patch("/things/1", json=body).status_code == 202
        assert http.patch("/things/2", json={"n": None, "high": None, "doc": None, "list": None}).status_code == 202
        assert http.put("/things/3", json={"n": 100, "doc": {"x": 1}, "high": 1}).status_code == 202
        price, once, twice = PRICES[world.store.kind]
        first = (1, 6, 2, 10, "b", {"a": {"b": 1, "c": 2}}, [[1]], once)
        missing = [first, (2, None, None, None, None, None, None, price)] if patch == "upsert" else []

        def look():
            rows = world.rows("select id, n, bare, high, name, doc, list, price from things order by id")
            return [(*row[:-1], str(row[-1])) for row in rows]

        wait_until(lambda: look() == [*missing, (3, 100, None, 1, None, {"x": 1}, None, price)], "the first writes")
        if patch == "existing":
            wait_until(lambda: world.metric(apply, "leat_patches_dropped_total") == 2, "the dropped ones to be counted")
            return
        for ident in (1, 2):
            assert http.patch(f"/things/{ident}", json={**body, "high": 11, "name": "a", "doc": {"a": None, "d": {"e": None}}}).status_code == 202
        wait_until(lambda: look()[:2] == [(1, 7, 4, 11, "b", {"d": {}}, [[1], [1]], twice),
                                          (2, 1, 2, 11, "a", {"d": {}}, [[1]], once)], "the second writes")
        assert http.patch("/things/1", json={"n": None, "high": None, "doc": "text", "list": 5, "bare": None}).status_code == 202
        assert http.patch("/things/1", json={"high": 3, "doc": {"k": 1}}).status_code == 202
        wait_until(lambda: look()[0] == (1, None, None, 3, "b", {"k": 1}, [[1], [1], 5], twice), "NULL and what follows it")


def test_two_routes_that_name_one_table_differently_share_its_keys(make_world):
    """`things` and `public.things` are one table: writes to a row by both routes stay in order."""
    world = make_world(shards=1, partitions=1, table_sql="create table things (id int primary key, list jsonb)", routes=[
        {"path": "/a/{id}", "table": "things", "name": "a", "columns": {"list": "append"}},
        {"path": "/b/{id}", "table": "public.things", "name": "b", "columns": {"list": "append"}}])
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        for number in range(200):
            assert http.patch(f"/{'aab'[number % 3]}/{number % 5}", json={"list": number}).status_code == 202
    world.start("apply")
    wait_until(lambda: sum(len(l) for l, in world.rows("select list from things")) == 200, "all writes")
    assert all(l == list(range(i, 200, 5)) for i, l in world.rows("select id, list from things"))


@both
def test_each_patch_of_a_missing_row_is_counted(make_world):
    """Dropped PATCHes are counted one by one, whatever is next to them in the same batch."""
    world = make_world(shards=1, partitions=1, table_sql="create table things (id int primary key, n int)",
                       route={"path": "/things/{id}", "table": "things", "patch": "existing"})
    world.init()
    edge = world.start("edge")
    with world.client(edge) as http:
        for ident, ops in {1: "patch put", 2: "delete patch", 3: "patch delete", 4: "patch patch", 5: "put patch"}.items():
            for op in ops.split():
                body = {} if op == "delete" else {"json": {"n": ident}}
                assert http.request(op.upper(), f"/things/{ident}", **body).status_code == 202
    apply = world.start("apply")
    wait_until(lambda: world.metric(apply, "leat_patches_dropped_total") == 5, "five dropped ones")
    assert world.rows("select id, n from things order by id") == [(1, 1), (5, 5)]


def test_a_table_that_a_crash_empties_is_not_written_to(make_world):
    """UNLOGGED: refused by `leat init`, by `leat check` and at each start, however many other shards have good ones."""
    world = make_world(table_sql="create table things (app int, id int, primary key (app, id))",
                       route={"path": "/{app}/{id}", "table": "things", "tenant": "app"})
    with world.db("b") as db:
        db.execute("alter table things set unlogged")
    words = r"leat.yaml:\d+: routes\[0\].table: table things in .*things is UNLOGGED.*\(ALTER TABLE things SET LOGGED\)"
    done = world.leat("init")
    assert done.returncode == 1 and re.search(words, done.stderr), done.stderr
    assert world.rows("select to_regclass('leat.sources')") == [(None,), (None,)]
    with world.db("b") as db:
        db.execute("alter table things set logged")
    world.init()
    with world.db("b") as db:
        db.execute("alter table things set unlogged")
    for command in ("apply", "edge", "run", "check"):
        done = world.leat(command)
        assert done.returncode == (3 if command == "check" else 1), command
        assert re.search(words, done.stderr + done.stdout), (command, done.stderr, done.stdout)
