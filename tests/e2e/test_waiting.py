"""`Prefer: wait` and `GET /writes/TOKEN`: a client hears what became of its write, in the process that applies it or from the shard,
and "applied" is never said before the row is in the table."""
import socket
import threading

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from lib.harness import wait_until

TABLES = """create table things (id int primary key, n int not null default 0 check (n >= 0));
            create table kept (id int primary key, n int not null default 0 check (n >= 0))"""
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
KEPT = {"path": "/kept/{id}", "table": "kept", "columns": {"n": "add"}, "on_refused": "hold"}
SOCKETS, EACH = 16, 64  # that wait at a time: requests of one connection are pipelined


@pytest.fixture
def world_of(make_world):
    def make(**settings):
        world = make_world(shards=1, partitions=2, table_sql=TABLES, route=ROUTE,
                           apply={"compact_every": "200ms", "lock_timeout": "200ms", "patience": "0s"}, **settings)
        world.settings["routes"].append(KEPT)
        world.write_config()
        world.init()
        return world

    return make


def start(world, shape):
    """The process with the edge, and those that apply."""
    if shape == "one process":
        process = world.start("run")
        return process, process
    return world.start("edge"), world.start("apply")


def wait_for(http, path, n, seconds=20):
    answer = http.patch(path, json={"n": n}, headers={"prefer": f"wait={seconds}"})
    return answer.status_code, answer.json(), answer.headers.get("preference-applied")


def ask(http, token, **headers):
    answer = http.get(f"/writes/{token}", headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("backend, shape", [("servers", "one process"), ("servers", "two processes"), ("built-in", "one process"),
                                            ("kafka and sqlite", "two processes")], indirect=["backend"])
def test_each_write_is_told_of(world_of, shape):
    world = world_of()
    edge, _ = start(world, shape)
    with world.client(edge) as http:
        for number in range(1, 21):
            status, said, applied = wait_for(http, f"/things/{number % 3}", 1)
            assert (status, said["state"], applied) == (200, "applied", "wait=20")
            assert world.rows("select sum(n) from things") == [(number,)]
        assert ask(http, said["token"])[1]["state"] == "applied"

        status, said, applied = wait_for(http, "/things/1", -100)
        assert (status, said["error"], said["state"], applied) == (422, "dead_letter", "dead_letter", "wait=20")
        assert said["sqlstate"] == "23514" and "check" in said["message"].lower()
        assert ask(http, said["token"])[1] == {**{k: said[k] for k in ("topic", "partition", "offset", "token", "state", "sqlstate")},
                                               "message": said["message"]}

        for n in (-1, 1):  # the second is kept behind the first
            status, said, applied = wait_for(http, "/kept/1", n)
            assert (status, said["state"], applied) == (202, "held", "wait=20")
        assert ask(http, said["token"])[1]["state"] == "held"

        assert ask(http, "x")[0] == 400
        plain = http.patch("/things/1", json={"n": 1}, headers={"prefer": "return=minimal"})
        assert plain.status_code == 202 and "preference-applied" not in plain.headers
        assert ask(http, plain.json()["token"], prefer="wait=20")[1]["state"] == "applied"
    metrics = world.metrics(edge)
    assert metrics['leat_edge_waits_total{outcome="held"}'] == 3
    assert metrics["leat_edge_waiting"] == 0


def test_a_locked_row_is_pending_although_others_are_applied(world_of):
    world = world_of()
    edge, worker = start(world, "one process")
    with world.client(edge) as http, world.db("a") as db:
        assert wait_for(http, "/things/1", 1)[0] == 200
        db.autocommit = False
        db.execute("update things set n = n where id = 1")
        status, said, applied = wait_for(http, "/things/1", 1, seconds=1)
        assert (status, said["state"], applied) == (202, "pending", "wait=1")
        for other in range(2, 30):
            http.patch(f"/things/{other}", json={"n": 1})
        wait_until(lambda: http.patch("/things/2", json={"n": 1}) and world.rows("select count(*) from leat.parked")[0][0] > 0,
                   "it to be parked", every=0.2)
        assert ask(http, said["token"])[1]["state"] == "pending"
        db.rollback()
        assert ask(http, said["token"], prefer="wait=30")[1]["state"] == "applied"
        assert world.rows("select n from things where id = 1") == [(2,)]


def pipeline(address, first):
    """One connection with requests that wait; returns their statuses, in order."""
    body = b'{"n":1}'
    request = b"PATCH /things/%d HTTP/1.1\r\nHost: a\r\nPrefer: wait=60\r\nContent-Length: %d\r\n\r\n%s"
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(b"".join(request % (first + i, len(body), body) for i in range(EACH)))
        data = b""
        while data.count(b"HTTP/1.1 ") < EACH or not data.endswith(b"}"):
            data += connection.recv(65536)
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


def test_a_worker_is_killed_while_a_thousand_wait(world_of):
    """Another one takes over, and each that waited is told, after its row is there."""
    world = world_of(limits={"wait_max": "60s"})
    edge, worker = start(world, "two processes")
    with world.client(edge) as http:
        assert wait_for(http, "/things/0", 1)[0] == 200
    statuses = {}
    address = edge.address("edge listens")
    threads = [threading.Thread(target=lambda i=i: statuses.update({i: pipeline(address, 1 + EACH * i)})) for i in range(SOCKETS)]
    for thread in threads:
        thread.start()
    worker.kill()
    world.start("apply")
    for thread in threads:
        thread.join()
    assert [s for i in range(SOCKETS) for s in statuses[i]] == [200] * SOCKETS * EACH
    assert world.rows("select count(*), sum(n) from things") == [(SOCKETS * EACH + 1, SOCKETS * EACH + 1)]
    assert world.metric(edge, "leat_edge_waiting") == 0


def test_clients_that_leave_give_their_places_back(world_of):
    """Of those that wait; with nobody who applies, each would keep its place for its whole time."""
    world = world_of(limits={"waiting": 4})
    edge = world.start("edge")
    host, _, port = edge.address("edge listens").rpartition(":")
    request = "PATCH /things/{} HTTP/1.1\r\nHost: a\r\nPrefer: wait=30\r\nContent-Length: 7\r\n{}\r\n{{\"n\":1}}"
    with world.client(edge) as http:
        for _ in range(3):
            clients = [socket.create_connection((host, int(port))) for _ in range(4)]
            for i, client in enumerate(clients):  # nginx closes its connections unless it is told not to
                client.sendall(request.format(i, "Connection: close\r\n" * (i % 2)).encode())
            wait_until(lambda: world.metric(edge, "leat_edge_waiting") == 4, "all to wait")
            assert wait_for(http, "/things/5", 1)[::2] == (202, None)  # too many wait
            for client in clients:
                client.close()
            wait_until(lambda: world.metric(edge, "leat_edge_waiting") == 0, "their places to be free")
        world.start("apply")
        status, said, applied = wait_for(http, "/things/5", 1)
        assert (status, said["state"], applied) == (200, "applied", "wait=20")
    wait_until(lambda: world.rows("select sum(n) from things") == [(3 * 5 + 1,)], "the writes of those that left to be applied, too")
    metrics = world.metrics(edge)
    assert metrics['leat_edge_waits_total{outcome="pending"}'] == 12 and metrics['leat_edge_waits_total{outcome="refused"}'] == 3


def test_without_places_there_is_nothing_to_wait_for(world_of):
    """No token, no path, no Prefer; and the description says so."""
    world = world_of(limits={"waiting": 0})
    edge = world.start("edge")
    with world.client(edge) as http:
        answer = http.patch("/things/1", json={"n": 1}, headers={"prefer": "wait=5"})
        assert answer.status_code == 202 and set(answer.json()) == {"topic", "partition", "offset"}
        batch = http.post("/batch", json=[{"method": "DELETE", "path": "/things/1"}]).json()
        assert set(batch[0]) == {"status", "partition", "offset"}
        assert http.get("/writes/AQoLDA0AAAADABAAAAAAAAAibPmWcQ9kqKbl").json()["error"] == "no_route"
        document = http.get("/openapi.json")
        OpenAPIV31SpecValidator(document.json()).validate()
        assert "/writes" not in document.text and "token" not in document.text and "Prefer" not in document.text
