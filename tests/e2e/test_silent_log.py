"""A Kafka client that is alive but gets no answers, or stays outside its group: leat notices, logs it, and acts."""

import contextlib
import os
import re
import signal

import pytest

from lib.harness import LEAT, wait_until
from lib.own_broker import OwnBroker

COUNTER = {"table_sql": "create table counters (id int primary key, n bigint not null default 0)",
           "route": {"path": "/counters/{id}", "table": "counters", "columns": {"n": "add"}}}
NO_SUBSCRIPTION = LEAT.parent / "tests" / "leat-no-subscription"


@pytest.fixture
def broker(tmp_path):
    own = OwnBroker(tmp_path / "broker")
    yield own
    own.stop()


@contextlib.contextmanager
def frozen(broker):
    """It takes connections and requests, and answers none."""
    os.kill(broker.popen.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.popen.pid, signal.SIGCONT)


def write(world, edge):
    with world.client(edge) as http:
        return http.patch("/counters/1", json={"n": 1}).status_code


def applied(world):
    return (world.rows("select n from counters where id = 1") or [(0,)])[0][0]


def test_brokers_that_answer_nothing(broker, make_world):
    """The broker is frozen: edge and worker log it once, are unready, and replace their clients; when it goes
    on, so do they. Those configured to give up sooner drain and end with exit code 1."""
    world = make_world(shards=1, partitions=2, brokers=broker.brokers, **COUNTER)
    world.settings["log"]["kafka"]["renew_after"] = "3s"
    world.write_config()
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    world.settings["log"]["kafka"]["give_up_after"] = "6s"
    world.write_config()
    given_up = [world.start("edge"), world.start("apply")]
    wait_until(lambda: write(world, edge) == 202, "a write to be accepted")
    wait_until(lambda: applied(world) == 1, "it to be applied")
    with frozen(broker):
        for process in (edge, apply):
            client = "writer" if process is edge else "reader"
            process.wait_for(f"no broker answers client={client} brokers={broker.brokers} topic={world.name} silent_s=3")
        wait_until(lambda: "no broker has answered for" in apply.readiness("admin listens")[1], "apply to be unready")
        assert edge.readiness()[0] == 503
        assert world.metric(apply, "leat_log_silent_seconds") >= 3
        for process in (edge, apply):
            process.wait_for("another client takes this one's place")
        for process in given_up:
            assert process.popen.wait(60) == 1
            assert "the process drains and ends with exit code 1" in process.text()
    for process in (edge, apply):
        process.wait_for("brokers answer again client=")
    wait_until(lambda: write(world, edge) == 202, "a write to be accepted again")
    wait_until(lambda: applied(world) >= 2, "it to be applied")
    wait_until(lambda: apply.readiness("admin listens")[0] == 200, "apply to be ready again")
    assert world.metric(apply, "leat_log_clients_renewed_total") >= 1
    assert world.metric(edge, "leat_edge_log_clients_renewed_total") >= 1


def test_an_edge_that_does_not_need_the_log(broker, make_world):
    """All its routes write into the database: without brokers it stays ready, says so, writes, and does not end."""
    sync = {**COUNTER, "route": {**COUNTER["route"], "mode": "sync"}}
    world = make_world(shards=1, partitions=2, brokers=broker.brokers, **sync)
    world.settings["log"]["kafka"].update({"renew_after": "2s", "give_up_after": "3s"})
    world.write_config()
    world.init()
    edge = world.start("edge")
    wait_until(lambda: write(world, edge) == 200, "the edge to have a connection")
    with frozen(broker), world.client(edge) as http:
        def silent_s():
            found = re.search(r"no broker has answered for (\d+) s", http.get("/readyz").text)
            return int(found.group(1)) if found else 0

        wait_until(lambda: silent_s() >= 5, "the time after which another edge would give up")
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "the log cannot be reached" in ready.json()["degraded"]
        assert write(world, edge) == 200
    with world.client(edge) as http:
        wait_until(lambda: http.get("/readyz").json() == {"status": "ok"}, "the edge to see that it is over")


def test_a_client_that_never_joins_its_group(make_world):
    """The brokers answer it all the while. Another one takes its place, and joins; that the old one never ends holds up nobody,
    the drain neither."""
    world = make_world(shards=1, partitions=2, **COUNTER)
    world.settings["log"]["kafka"]["renew_after"] = "3s"
    world.write_config()
    world.init()
    edge = world.start("edge")
    apply = world.start("apply", program=NO_SUBSCRIPTION)
    wait_until(lambda: write(world, edge) == 202, "a write to be accepted")
    apply.wait_for("client is not a member of its group client=reader reason=\"this client has not been a member of group ")
    wait_until(lambda: applied(world) == 1, "the write to be applied")
    assert "another client takes this one's place" in apply.text()
    wait_until(lambda: apply.readiness("admin listens")[0] == 200, "apply to be ready")
    assert apply.terminate() == 0
