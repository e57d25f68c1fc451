"""Which server leat asks: always the primary. A standby may show the past."""

import re

import pytest
from confluent_kafka import Producer

from lib.forwarder import Forwarder
from lib.harness import environment, script, wait_until
from lib.standby import Standby, port_in

pytestmark = pytest.mark.alone

THINGS = {"table_sql": "create table things (id int primary key, v text)", "route": {"path": "/things/{id}", "table": "things"},
          "shards": 1, "partitions": 1}


@pytest.fixture
def make_pair(make_world):
    """(a World of one shard, its standby), by a DSN as `dsn(standby, primary's dsn)` makes it."""
    standbys = []

    def make(dsn):
        world = make_world(**THINGS)
        standbys.append(Standby(1))
        set_dsn(world, dsn(standbys[0], world.dsns["a"]))
        return world, standbys[0]

    yield make
    for standby in standbys:
        standby.stop("--immediate")


def set_dsn(world, dsn):
    world.settings["shards"][0]["dsn"] = dsn
    world.write_config()


def put_until(client, path, body, status):
    """Puts the row again until it is answered like that."""
    wait_until(lambda: client.put(path, json=body).status_code == status, f"{status} for {body}", every=0.2)


def test_of_two_hosts_every_command_takes_the_primary(make_pair):
    """The standby is named first and stands still in the past: init, check, lag, status and the dead letters are of the
    primary, which it knows nothing of."""
    world, standby = make_pair(lambda s, dsn: s.both(dsn))
    standby.pause()
    world.init()
    assert standby.run("select to_regnamespace('leat')", world.dsns["a"]) == [(None,)]
    found = {l.partition(":")[0]: l for l in world.leat("check").stdout.splitlines()}
    assert "FAILED" not in " ".join(l for l in found if "fsync" not in l)
    world.start("run").wait_for("assigned")
    foreign = Producer({"bootstrap.servers": world.brokers})
    foreign.produce(world.name, value=b"no JSON", key=b"1", headers={"route": "things"}, partition=0)
    foreign.flush()
    wait_until(lambda: world.rows("select count(*) from leat.dead_letters") == [(1,)], "the dead letter")
    listed, shown = world.leat("dead", "list"), world.leat("dead", "show", "0", "0")
    assert (listed.returncode, shown.returncode) == (0, 0) and "1 dead letter" in listed.stdout
    wait_until(lambda: world.leat("lag").returncode == 0, "no lag")
    assert world.leat("status").returncode == 0


def test_a_standby_that_is_behind_decides_nothing(make_pair):
    """A column that is added is taken, one that is dropped is not, and no record becomes a dead letter, while the standby
    still shows the table as it was."""
    world, standby = make_pair(lambda s, dsn: s.both(dsn))
    world.init()
    process = world.start("run")
    client = world.client(process)
    assert client.put("/things/1", json={"v": "a"}).status_code == 202
    standby.pause()
    with world.db("a") as db:
        db.execute("alter table things add column w text")
    put_until(client, "/things/2", {"w": "b"}, 202)
    wait_until(lambda: world.rows("select id, v, w from things order by id") == [(1, "a", None), (2, None, "b")], "both rows")
    foreign = Producer({"bootstrap.servers": world.brokers})
    foreign.produce(world.name, value=b'{"w":"c"}', key=b"4", headers={"route": "things"}, partition=0)
    foreign.flush()
    wait_until(lambda: world.rows("select w from things where id = 4") == [("c",)], "the foreign row")
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]
    with world.db("a") as db:
        db.execute("alter table things drop column v")
    put_until(client, "/things/3", {"v": "b"}, 422)
    assert [c for c, in standby.run("select attname from pg_attribute where attrelid = 'things'::regclass and attnum > 0",
                                    world.dsns["a"])] == ["id", "v"]


def test_a_standby_alone_is_not_asked(make_pair):
    """Each command reports that this is not the primary, and none uses the standby's data as an answer. Promoted,
    it is one."""
    world, standby = make_pair(lambda s, dsn: dsn)
    world.init()
    standby.catch_up()
    set_dsn(world, standby.dsn_of(world.dsns["a"]))
    checked = world.leat("check")
    assert checked.returncode == 3 and "FAILED   shard a: read-only: it is a standby" in checked.stdout
    assert "skipped  shard a: schema leat: it is read-only" in checked.stdout
    for command, words in ((["init"], "at the primary only"), (["lag"], "at the primary only"),
                           (["dead", "list"], "at the primary only"), (["dead", "show", "0", "0"], "at the primary only")):
        done = world.leat(*command)
        assert done.returncode == 1 and words in done.stdout + done.stderr, (command, done)
    status = world.leat("status")
    assert status.returncode == 3 and "UNWELL" in status.stdout and "at the primary only" in status.stdout
    process = world.start("run")
    process.wait_for("does not answer yet shard=a")
    process.wait_for("at the primary only")
    assert world.client(process).put("/things/1", json={"v": "a"}).status_code == 202
    standby.promote()
    wait_until(lambda: standby.run("select v from things", world.dsns["a"]) == [("a",)], "the row in the new primary")


@pytest.mark.parametrize("target", ["any", "read-only", "standby", "prefer-standby"])
def test_another_server_than_the_primary_cannot_be_asked_for(make_world, target):
    """A DSN that asks for one is refused by every command, with shard and setting; nothing is connected to."""
    world = make_world(**THINGS)
    set_dsn(world, f"host=127.0.0.1 port=1 target_session_attrs={target} password=secret")
    for command in (["init"], ["check"], ["run"], ["edge"], ["apply"], ["lag"], ["status"], ["dead", "list"]):
        done = world.leat(*command, timeout=20)
        assert done.returncode == 2, (command, done)
        assert "shards[0].dsn: shard a: " in done.stderr and f"target_session_attrs={target}" in done.stderr, done.stderr
        assert "secret" not in done.stderr


@pytest.mark.parametrize("target", ["read-write", "primary"])
def test_the_primary_can_be_asked_for(make_pair, target):
    """By either of its names."""
    world, _ = make_pair(lambda s, dsn: f"{s.both(dsn)} target_session_attrs={target}")
    world.init()
    client = world.client(world.start("run"))
    assert client.put("/things/1", json={"v": "a"}).status_code == 202
    wait_until(lambda: world.rows("select v from things") == [("a",)], "the row")


@pytest.fixture
def pooler(request):
    """(a DSN through PgBouncer, the proxy behind it, which leads to the primary)"""
    forwarder = Forwarder(port_in(environment()["PG_DSN_1"]))
    script("pgbouncer", "up", 1, "--to-port", forwarder.port, "--debian", request.param)
    yield re.search(r"PGBOUNCER_DSN_1='(.*)'", script("pgbouncer", "env"))[1], forwarder
    script("pgbouncer", "down")
    forwarder.close()


@pytest.mark.parametrize("pooler", ["12", "13"], indirect=True)
def test_a_pooler_that_comes_to_lead_to_a_standby(make_pair, pooler):
    """Its greeting may still be the primary's, so each look makes sure itself. A column that the standby does not know yet is
    taken as before, nothing becomes a dead letter, and all is applied once the pooler leads to the primary."""
    dsn, forwarder = pooler
    world, standby = make_pair(lambda s, direct: dsn.replace("dbname=leat", "dbname=" + direct.rpartition("dbname=")[2]))
    world.settings.update(catalog_every="1s", log_level="debug")
    world.write_config()
    world.init()
    process = world.start("run")
    client = world.client(process)
    standby.pause()
    with world.db("a") as db:
        db.execute("alter table things add column w text")
    put_until(client, "/things/1", {"w": "a"}, 202)
    wait_until(lambda: world.rows("select w from things") == [("a",)], "the row")
    forwarder.lead_to(standby.port)
    for command in (["lag"], ["dead", "list"], ["init"]):
        wait_until(lambda: "a standby answers" in str(world.leat(*command)), f"{command} to be refused")
    process.wait_for("tables not read shard=a", count=5)
    assert client.put("/things/2", json={"w": "b"}).status_code == 202
    forwarder.lead_to(standby.primary_port)
    wait_until(lambda: world.rows("select w from things order by id") == [("a",), ("b",)], "both rows")
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]
