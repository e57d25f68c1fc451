"""Where records are worked on: what a new source stores, that a second implementation finds them there, and what is refused."""

import re

import pytest

from lib import placement
from lib.harness import wait_until

TABLE = """
create table things (app text, id int, n int not null default 0, primary key (app, id));
create table turned (id int, app text, n int not null default 0, primary key (id, app));
create table plain (id int primary key, n int not null default 0);
"""
THINGS = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "columns": {"n": "add"}}
TURNED = {"path": "/turned/{app}/{id}", "table": "turned", "tenant": "app", "columns": {"n": "add"}}
PLAIN = {"path": "/plain/{id}", "table": "plain", "columns": {"n": "add"}}
STORED = "select subpartitions, tenant_window, tenant_position, placement from leat.sources"


@pytest.fixture
def world(make_world):
    return make_world(log="local", shards=1, partitions=2, table_sql=TABLE, route=THINGS)


def stored(world, **log):
    """By `leat init`, with these settings."""
    world.settings["log"].update(log)
    world.write_config()
    world.init()
    return world.rows(STORED)[0]


def refused(world, command="init", **log):
    """What the command says about these settings."""
    world.settings["log"].update(log)
    world.write_config()
    done = world.leat(command)
    assert done.returncode != 0, done.stdout
    return done.stderr + done.stdout


def write(world, process, paths):
    with world.client(process) as client:
        for path in paths:
            assert client.patch(path, json={"n": 1}).status_code == 202


def test_records_are_where_the_rule_has_them(world):
    assert tuple(stored(world)) == (256, 8, 0, 2)
    assert "source: 256 subpartitions, of which each tenant has 8 (part 1 of the key)" in world.init()
    process = world.start("run")
    keys = [f"a{app}/{number}" for app in range(5) for number in range(40)]
    write(world, process, [f"/apps/{key.split('/')[0]}/things/{key.split('/')[1]}" for key in keys])
    wait_until(lambda: sum(n for n, in world.rows("select n from things")) == len(keys), "all to be applied")
    assert process.terminate() == 0
    expected = {}
    for partition, offset, key, _, _ in world.log_records():
        expected[partition, placement.subpartition(key, 256, 8, 0)] = offset
    offsets = world.rows("select partition, base_offsets, low from leat.partitions")
    found = {(partition, number) for partition, base, _ in offsets for number, offset in enumerate(base) if offset >= 0}
    rows = world.rows("select partition, unnest(subpartitions), unnest(offsets) from leat.progress")
    said = {(p, n): offset for p, base, _ in offsets for n, offset in enumerate(base)} | {(p, n): o for p, n, o in rows}
    assert found, "a compaction when the process ended"
    assert all(said[place] >= offset for place, offset in expected.items())
    lows = {partition: low for partition, _, low in offsets}
    moved = {place for place, offset in said.items() if offset > lows[place[0]]}
    assert moved <= set(expected)
    assert len({n for _, n in expected}) <= 5 * 8


@pytest.mark.parametrize("log, expected", [
    ({"subpartitions": 1024, "tenant_window": 32}, (1024, 32, 0, 2)),
    ({"subpartitions": 64}, (64, 2, 0, 2)),
    ({"tenant_window": 0}, (256, 0, -1, 2)),
    ({"subpartitions": 8}, (8, 0, -1, 2)),
])
def test_settings_say_what_a_new_source_stores(world, log, expected):
    assert tuple(stored(world, **log)) == expected
    process = world.start("run")
    write(world, process, [f"/apps/a/things/{number}" for number in range(50)])
    wait_until(lambda: len(world.rows("select n from things")) == 50, "all to be applied")


def test_without_a_common_place_there_are_no_windows(world):
    world.settings["routes"] = [THINGS, TURNED]
    said = refused(world, tenant_window=8)
    assert re.search(r"leat.yaml:\d+: routes\[1\]\.tenant: its tenant stands at another place in the key", said)
    assert world.rows("select to_regclass('leat.sources')") == [(None,)]  # nothing was changed
    assert not world.log.path.exists()  # or created
    del world.settings["log"]["tenant_window"]
    assert tuple(stored(world)) == (256, 0, -1, 2)
    world.start("run")


def test_what_contradicts_the_stored_source_is_refused(world):
    assert tuple(stored(world)) == (256, 8, 0, 2)
    for command in ("init", "run", "check"):
        said = refused(world, command, subpartitions=512)
        assert re.search(r"leat.yaml:\d+: log.subpartitions: the source was set up with 256 subpartitions", said)
        del world.settings["log"]["subpartitions"]
        said = refused(world, command, tenant_window=4)
        assert re.search(r"leat.yaml:\d+: log.tenant_window: the source was set up with a tenant window of 8", said)
        del world.settings["log"]["tenant_window"]
        world.settings["routes"] = [THINGS, TURNED]
        said = refused(world, command)
        assert re.search(r"leat.yaml:\d+: routes\[1\]\.tenant: it is part 2 of the key", said)
        world.settings["routes"] = [THINGS]
    world.settings["routes"] = [THINGS, PLAIN]  # its tenants stand nowhere else
    assert tuple(stored(world)) == (256, 8, 0, 2)
    world.start("run")


def test_a_source_of_placement_1_keeps_it(world):
    stored(world, subpartitions=64, tenant_window=0)
    with world.db("a") as db:
        db.execute("alter table leat.sources drop placement, drop tenant_window, drop tenant_position")
        db.execute("update leat.schema_version set version = 4")
    del world.settings["log"]["tenant_window"]
    said = refused(world, "init", tenant_window=2)
    assert re.search(r"leat.yaml:\d+: log.tenant_window: the source was set up by an older leat", said)
    del world.settings["log"]["tenant_window"]
    assert tuple(stored(world)) == (64, 0, -1, 1)
    process = world.start("run")
    write(world, process, [f"/apps/a/things/{number}" for number in range(50)])
    wait_until(lambda: len(world.rows("select n from things")) == 50, "all to be applied")
    assert refused(world, "init", tenant_window=2)
