"""ALTER TABLE while leat runs: picked up without a restart, and every accepted record is applied or a dead letter."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lib.harness import as_json, both, wait_until

THINGS = """
create table things (
    app_id int, id bigint, n int not null default 0, price numeric(6,2), note text,
    primary key (app_id, id))
"""
ROUTE = {"path": "/apps/{app_id}/things/{id}", "table": "things", "tenant": "app_id", "columns": {"n": "add"}}
APPS, IDS = 8, 25


@pytest.fixture
def things(make_world):
    """Two shards whose tables are read often; patience with refusals is short, and they are never too many."""
    world = make_world(table_sql=THINGS, route=ROUTE, catalog_every="300ms",
                       apply={"patience": "500ms", "dead_letters_per_minute": 1000000})
    world.init()
    return world


def path_of(app, number):
    return f"/apps/{app}/things/{number}"


def alter(world, sql, shards=None):
    for shard in shards or world.shard_names:
        with world.db(shard) as db:
            db.execute("alter table things " + sql)


def dead_letters(world):
    """{(partition, offset): (sqlstate, body)}"""
    found = world.rows('select partition, "offset", sqlstate, body from leat.dead_letters')
    return {(p, o): (state, body.decode()) for p, o, state, body in found}


class Load:
    """Threads that PATCH n by 1, and the members of `more`, until they are stopped. `accepted` has the writes with a 202."""

    def __init__(self, world, edge, threads=3):
        self.url = world.url(edge)
        self.world = world
        self.more = {}
        self.accepted, self.answers = {}, set()
        self.stopped = threading.Event()
        self.pool = ThreadPoolExecutor(max(threads, 1))
        self.running = [self.pool.submit(self.run, number) for number in range(threads)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self, start):
        with httpx.Client(base_url=self.url, timeout=30) as http:
            count = start * 1000
            while not self.stopped.is_set():
                count += 1
                self.write(http, count % APPS, count % IDS, {"n": 1, **self.more})

    def write(self, http, app, number, body):
        answer = http.patch(path_of(app, number), content=as_json(body))
        self.answers.add(answer.status_code)
        if answer.status_code == 202:
            place = answer.json()
            self.accepted[place["partition"], place["offset"]] = body
        return answer.status_code

    def wait_for_more(self, count=200):
        goal = len(self.accepted) + count
        wait_until(lambda: len(self.accepted) >= goal, f"{count} more writes to be accepted; answers: {self.answers}")

    def stop(self):
        self.stopped.set()
        for future in self.running:
            future.result(60)
        self.pool.shutdown()

    def settle(self):
        """Stops, and waits until each accepted record has had its effect once or is a dead letter; returns those."""
        self.stop()

        def missing():
            dead = dead_letters(self.world)
            applied = sum(row[0] for row in self.world.rows("select n from things"))
            wanted = sum(body["n"] for place, body in self.accepted.items() if place not in dead)
            return wanted - applied

        wait_until(lambda: missing() == 0, "every accepted record to be applied or a dead letter", 120, 0.2)
        dead = dead_letters(self.world)
        assert set(dead) <= set(self.accepted)
        return dead


def write_until_taken(world, edge, app, number, body, timeout=30):
    """Writes again until the edge takes it."""
    with world.client(edge) as http:
        wait_until(lambda: http.patch(path_of(app, number), content=as_json(body)).status_code == 202,
                   f"{body} to be taken", timeout)


def wait_row(world, app, number, column, value):
    def found():
        rows = world.rows(f"select {column} from things where app_id = {app} and id = {number}")
        return rows and rows[0][0] == value

    wait_until(found, f"{column} = {value!r} in {app}/{number}")


@both
def test_a_column_added_under_load_is_taken_and_written(things):
    """The edge takes a column it has just refused, the worker writes it, and PUT uses its default; nothing is lost."""
    leat = things.start("run")
    with Load(things, leat) as load:
        load.wait_for_more()
        with things.client(leat) as http:
            assert http.patch(path_of(1, 900), json={"extra": 1}).status_code == 422
        alter(things, "add column extra int not null default 7")
        write_until_taken(things, leat, 1, 900, {"extra": 1})
        wait_row(things, 1, 900, "extra", 1)
        load.more = {"extra": 2}
        load.wait_for_more()
        assert load.settle() == {}
    for shard in "ab":
        leat.wait_for(f'table altered shard={shard} table=things change="column extra: added')
    assert {row[0] for row in things.rows("select extra from things where n > 0")} <= {2, 7}
    assert leat.terminate() == 0


def test_edge_and_apply_apart_both_pick_it_up(things):
    """Processes look for themselves: an edge without workers, and workers without an edge."""
    edge, apply = things.start("edge"), things.start("apply")
    with Load(things, edge) as load:
        load.wait_for_more()
        alter(things, "add column extra text")
        write_until_taken(things, edge, 2, 900, {"extra": "x"})
        wait_row(things, 2, 900, "extra", "x")
        assert load.settle() == {}
    assert edge.terminate() == 0 and apply.terminate() == 0


def test_records_that_name_a_dropped_column_end_as_dead_letters(things):
    """Records already in the log can no longer be written: they are kept as dead letters, the rest flows."""
    edge = things.start("edge")
    with Load(things, edge, threads=0) as load, things.client(edge) as http:
        for number in range(40):
            body = {"n": 1, "note": "x"} if number % 2 else {"n": 1}
            assert load.write(http, number % APPS, number, body) == 202
        alter(things, "drop column note")
        things.start("apply")
        dead = load.settle()
        assert set(dead) == {place for place, body in load.accepted.items() if "note" in body}


@both
def test_a_column_dropped_under_load(things):
    """The edge soon refuses the name; writes that it took before are applied, or dead letters that name the column."""
    leat = things.start("run")
    with Load(things, leat) as load:
        load.more = {"note": "x"}
        load.wait_for_more()
        alter(things, "drop column note")
        wait_until(lambda: 422 in load.answers, "the edge to refuse the dropped column")
        load.more = {}
        load.wait_for_more()
        dead = load.settle()
        assert all("note" in load.accepted[place] for place in dead)


@pytest.mark.parametrize("change, body, column, value", [
    ("alter column n type bigint", {"n": 3000000000}, "n", 3000000000),
    ("alter column price type numeric(8,4)", {"price": "1.2345"}, "price::text", "1.2345"),
    ("alter column note type jsonb using to_jsonb(note)", {"note": {"a": 1}}, "note", {"a": 1}),
    ("alter column note type int using length(note)", {"note": 77}, "note", 77),
])
def test_a_column_retyped_under_load(things, change, body, column, value):
    """Values of the new type are taken and written, those in the log are written as the new type has them, none is lost."""
    leat = things.start("run")
    with Load(things, leat) as load:
        load.more = {"price": 1.25}
        load.wait_for_more()
        alter(things, change)
        write_until_taken(things, leat, 3, 900, body)
        wait_row(things, 3, 900, column, value)
        load.wait_for_more()
        if column == "n":
            load.accepted["the one", 0] = body
        assert load.settle() == {}


def test_what_a_new_constraint_refuses_is_a_dead_letter(things):
    """CHECK: only the records that break it are kept as dead letters, with PostgreSQL's own words; the others flow."""
    leat = things.start("run")
    with Load(things, leat) as load:
        load.wait_for_more()
        alter(things, "add constraint cheap check (price >= 0)")
        with things.client(leat) as http:
            bad = [number for number in range(20) if load.write(http, number % APPS, 900 + number, {"n": 1, "price": -1}) == 202]
        load.wait_for_more()
        dead = load.settle()
    assert len(bad) == len(dead) == 20
    assert {state for state, _ in dead.values()} == {"23514"}
    assert set(things.rows("select headers->>'op' from leat.dead_letters")) == {("patch",)}
    for partition, offset in dead:
        leat.wait_for(f"`leat dead show {partition} {offset}` shows it")
    wait_until(lambda: things.metric(leat, "leat_dead_letters_total") == 20, "the metric")
    assert leat.terminate() == 0


@both
def test_a_unique_constraint_makes_the_table_ordered(things):
    """A value may move from one row to another and back, whichever comes first; a true duplicate is a dead letter."""
    leat = things.start("run")
    with Load(things, leat) as load, things.client(leat) as http:
        load.wait_for_more()
        for shard in things.shard_names:
            with things.db(shard) as db:
                db.execute("create unique index one_note on things (app_id, note)")
        if things.store.kind == "postgres":  # in a SQLite file every table is written in order
            for shard in "ab":
                leat.wait_for(f"table altered shard={shard} table=things")
        owners = range(900, 920)
        for owner in owners:
            load.write(http, 1, owner, {"n": 1, "note": "mine"})
            load.write(http, 1, owner, {"n": 1, "note": None})
        # Rows have no order: the one that keeps the value must not come before those that give it back, or they never get it.
        for owner in owners:
            wait_row(things, 1, owner, "n", 2)
        load.write(http, 1, 950, {"n": 1, "note": "mine"})
        wait_row(things, 1, 950, "note", "mine")
        load.write(http, 1, 951, {"n": 1, "note": "mine"})
        dead = load.settle()
    assert [state for state, _ in dead.values()] == ["23505"]
    assert things.rows("select id from things where note = 'mine'") == [(950,)]


def test_put_uses_the_default_of_now(things):
    """SET DEFAULT and DROP DEFAULT count for the next PUT that does not name the column."""
    leat = things.start("run")
    with things.client(leat) as http:
        for number, (change, price) in enumerate([("set default 9.5", "9.50"), ("set default 7", "7.00"), ("drop default", None)], 1):
            alter(things, f"alter column price {change}")
            for shard in "ab":
                leat.wait_for(f'table altered shard={shard} table=things change="column price: default', count=number)
            assert http.put(path_of(1, number), json={"n": 1}).status_code == 202
            wait_row(things, 1, number, "price::text", price)


@both
def test_shards_in_the_middle_of_a_migration(things):
    """A process that starts while only one shard is altered checks and writes each shard's rows as that shard is."""
    alter(things, "add column extra int", shards=["a"])
    leat = things.start("run")
    with things.client(leat) as http:
        answers = {app: http.patch(path_of(app, 1), json={"n": 1, "extra": 1}).status_code for app in range(16)}
        assert set(answers.values()) == {202, 422}
        taken = [app for app, answer in answers.items() if answer == 202]
        wait_until(lambda: len(things.rows("select 1 from things where extra = 1", ["a"])) == len(taken), "the rows of shard a")
        alter(things, "add column extra int", shards=["b"])
        for app in sorted(set(answers) - set(taken)):
            write_until_taken(things, leat, app, 1, {"n": 1, "extra": 1})
            wait_row(things, app, 1, "extra", 1)


def test_another_kind_of_key_needs_a_restart(things):
    """A key column that is text now is not picked up: that is logged, and a restarted process goes on."""
    leat = things.start("run")
    with things.client(leat) as http:
        assert http.patch(path_of(1, 1), json={"n": 1}).status_code == 202
        wait_row(things, 1, 1, "n", 1)
        alter(things, "alter column id type text")
        leat.wait_for("restart leat", count=2)
        assert http.patch(path_of(1, "x"), json={"n": 1}).status_code == 422
    assert leat.terminate() == 0
    again = things.start("run")
    with things.client(again) as http:
        assert http.patch(path_of(1, "x"), json={"n": 1}).status_code == 202
        wait_row(things, 1, "'x'", "n", 1)


@both
def test_a_configured_operation_whose_column_is_gone_waits(make_world):
    """Nothing is dead-lettered while the configuration and the table disagree; accepted writes go through later."""
    world = make_world(shards=1, table_sql=THINGS, route={**ROUTE, "tenant": None}, catalog_every="300ms")
    del world.settings["routes"][0]["tenant"]
    world.write_config()
    world.init()
    leat = world.start("run")
    with Load(world, leat, threads=0) as load, world.client(leat) as http:
        load.write(http, 1, 1, {"n": 1})
        wait_row(world, 1, 1, "n", 1)
        alter(world, "rename column n to m")
        leat.wait_for("altered tables do not fit")
        assert load.write(http, 1, 1, {"n": 1}) == 202  # by its earlier knowledge
        leat.wait_for("stalled by")
        alter(world, "rename column m to n")
        assert load.settle() == {}
    assert world.rows("select n from things") == [(2,)]


def test_a_shard_that_does_not_answer_delays_no_other(things):
    """Looks at a silent server take their time limit; the other shard's altered table is picked up, and SIGTERM ends it all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        things.settings["shards"][1]["dsn"] = f"host=127.0.0.1 port={silent.getsockname()[1]} dbname=x connect_timeout=5"
        things.write_config()
        leat = things.start("run")
        alter(things, "add column extra int", shards=["a"])
        leat.wait_for('table altered shard=a table=things change="column extra: added')
        with things.client(leat) as http:
            answers = {http.patch(path_of(app, 1), json={"n": 1, "extra": 1}).status_code for app in range(16)}
        assert answers == {202, 422}
        wait_until(lambda: things.rows("select 1 from things where extra = 1", ["a"]), "a row of shard a")
        assert leat.terminate() == 0
