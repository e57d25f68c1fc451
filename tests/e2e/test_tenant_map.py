"""Tenants whose shard is given by a file: they go there, every process checks it, and it does not change."""

import re
import uuid

import pytest

from lib.harness import wait_until
from lib.placement import xxh3

TABLE = {kind: f"create table players (app_id {uuid_type}, id text, n int not null default 0, primary key (app_id, id))"
         for kind, uuid_type in (("postgres", "uuid"), ("sqlite", "uuid not null"))}
ROUTE = {"path": "/players/{id}", "table": "players", "tenant": "body.app_id", "put": "merge"}
APPS = [str(uuid.UUID(int=n)) for n in range(1, 13)]


def by_hash(app):
    """The shard of an even layout of two."""
    return "ab"[xxh3(app.encode()) % 4096 * 2 // 4096]


def other(shard):
    return "b" if shard == "a" else "a"


@pytest.fixture(params=["postgres", "sqlite"])
def world(request, make_world, tmp_path):
    """The first eight tenants are where their hash would not have them. The file begins with a spreadsheet's mark."""
    path = tmp_path / "tenants.csv"
    lines = [f"{app.upper()},{other(by_hash(app))}" for app in APPS[:8]]
    path.write_text("tenant,shard\n# adopted\n\n" + "\r\n".join(lines) + "\n", encoding="utf-8-sig")
    made = make_world(log="local", store=request.param, shards=2, partitions=4, table_sql=TABLE, route=ROUTE,
                      tenants={"map": str(path)})
    made.map_path = path
    return made


def expected(app):
    return other(by_hash(app)) if app in APPS[:8] else by_hash(app)


def shards_of(world):
    return {app: shard for shard in world.shard_names for app, in world.rows("select cast(app_id as text) from players", [shard])}


def test_tenants_are_where_the_map_has_them(world):
    world.init()
    process = world.start("run")
    with world.client(process) as client:
        for app in APPS:
            assert client.put("/players/x", json={"app_id": app, "n": 1}).status_code == 202
    wait_until(lambda: len(shards_of(world)) == len(APPS), "all to be applied")
    assert shards_of(world) == {app: expected(app) for app in APPS}
    assert process.terminate() == 0
    assert re.search(r"tenant map +8 tenants have a shard|8 tenants have a shard of their own", world.leat("check").stdout)
    world.settings.pop("tenants")  # what is stored counts
    world.write_config()
    process = world.start("run")
    with world.client(process) as client:
        for app in APPS:
            assert client.put("/players/y", json={"app_id": app, "n": 1}).status_code == 202
    wait_until(lambda: len(world.rows("select 1 from players")) == 2 * len(APPS), "all to be applied")
    assert shards_of(world) == {app: expected(app) for app in APPS}


def changed(lines, change):
    """The tenant that differs, and the lines."""
    if change == "moved":
        return APPS[7], [*lines[:-1], f"{APPS[7]},{by_hash(APPS[7])}"]
    if change == "added":
        return APPS[8], [*lines, f"{APPS[8]},{other(by_hash(APPS[8]))}"]
    return APPS[7], lines[:-1]


def test_a_map_that_differs_is_refused(world):
    world.init()
    if world.store.kind == "sqlite":
        assert world.start("run").terminate() == 0
    lines = world.map_path.read_text().splitlines()
    for change, commands in (("moved", ("init", "run", "check")), ("added", ("init",)), ("removed", ("run",))):
        app, others = changed(lines, change)
        world.map_path.write_text("\n".join(others) + "\n")
        for command in commands:
            done = world.leat(command)
            assert done.returncode != 0, (change, command, done.stdout)
            assert re.search(rf"tenants\.map: tenant {app}: the source was set up for ", done.stdout + done.stderr), command


BAD = [
    ("x", r":1: must be tenant,shard"),
    (f"{APPS[0]},c", r':1: there is no shard "c"'),
    (f"{APPS[0]},a\n{APPS[0].upper()},b", r":2: the tenant \S+ is there twice"),
    ("7,a", r":1: route players: app_id: "),
    (",a", r":1: route players: app_id: must not be empty"),
    ("%zz,a", r":1: route players: app_id: has a '%'"),
]


def test_a_bad_file_is_refused_with_its_line(make_world, tmp_path):
    path = tmp_path / "tenants.csv"
    world = make_world(log="local", store="postgres", shards=2, partitions=4, table_sql=TABLE, route=ROUTE,
                       tenants={"map": str(path)})
    for text, says in [*BAD, (None, r"No such file")]:
        if text is None:
            path.unlink()
        else:
            path.write_text(text + "\n")
        done = world.leat("init")
        assert done.returncode != 0
        assert re.search(r"leat.yaml:\d+: tenants.map: .*" + says, done.stderr), done.stderr
        assert world.rows("select to_regclass('leat.sources')") == [(None,), (None,)]  # nothing was changed
