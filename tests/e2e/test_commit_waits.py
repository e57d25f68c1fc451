"""Commits that wait for a synchronous standby that is gone: leat reports it, waits, and ends none of them."""

import pytest

from lib.harness import wait_until
from lib.standby import standby_is_gone

pytestmark = pytest.mark.alone

COUNTERS = {"table_sql": "create table counters (id int primary key, n int not null default 0)",
            "route": {"path": "/counters/{id}", "table": "counters", "columns": {"n": "add"}}, "shards": 1, "partitions": 1}


@pytest.fixture
def world(make_world):
    return make_world(**COUNTERS)


def waiting(server, world):
    """The sessions of the test's databases whose commits wait."""
    return [p for p, in server.execute(
        "select pid from pg_stat_activity where datname = %s and wait_event = 'SyncRep' order by 1", (world.name,)).fetchall()]


def test_init_says_what_its_commit_waits_for(world):
    """Within seconds, with the setting; it goes on once the standby has answered."""
    with standby_is_gone(world, "gone"):
        init = world.start("init", wait=False)
        init.wait_for('a synchronous standby to confirm its commit: synchronous_standby_names is "gone"')
    assert init.popen.wait(60) == 0
    assert world.rows("select count(*) from leat.partitions") == [(1,)]


def test_a_commit_that_waits_is_not_ended(world):
    """An applier dies while its commit waits. The next one cannot claim the partition, says why and leaves the commit
    alone, until the standby has answered: then all is applied once."""
    world.settings["apply"] = {**world.settings.get("apply", {}), "lock_timeout": "200ms"}
    world.write_config()
    world.init()
    first = world.start("run")
    client = world.client(first)
    first.wait_for("assigned")
    assert client.patch("/counters/1", json={"n": 1}).status_code == 202
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the row")
    with standby_is_gone(world, "gone") as server:
        assert client.patch("/counters/1", json={"n": 1}).status_code == 202
        wait_until(lambda: waiting(server, world), "a commit that waits")
        first.kill()
        stuck = waiting(server, world)
        second = world.start("run")
        second.wait_for("its commit waits for a synchronous standby")
        assert world.client(second).patch("/counters/1", json={"n": 1}).status_code == 202
        assert set(stuck) <= set(waiting(server, world)) and world.metric(second, "leat_holders_terminated_total") == 0
    wait_until(lambda: world.rows("select n from counters") == [(3,)], "all three, once")
