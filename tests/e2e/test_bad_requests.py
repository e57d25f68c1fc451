"""Requests that the edge refuses, answer by answer and over both protocols; none reaches the log, and others beside them are
served."""

import json
import socket
import subprocess

import pytest

from e2e.bad_requests import CASES
from lib.harness import World

TABLES = """
create table things (
    id bigint primary key, needed int not null, made int generated always as (needed + 1) stored,
    b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, num numeric, money_like numeric(8, 2),
    t text, vc varchar(10), u uuid, d date, ti time, ts timestamp, tz timestamptz, raw bytea, jb jsonb, ints int[], total numeric);
create table keys (
    b bool, i2 smallint, u uuid, t text, d date, tz timestamptz, raw bytea, n int, primary key (b, i2, u, t, d, tz, raw));
"""
ROUTES = [
    {"path": "/things/{id}", "table": "things", "columns": {"total": "add"}},
    {"path": "/keys/{b}/{i2}/{u}/{t}/{d}/{tz}/{raw}", "table": "keys"},
]


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """One edge for all: a refusal does no harm to later requests."""
    world = World(tmp_path_factory.mktemp("bad"), shards=1, partitions=1, table_sql=TABLES, routes=ROUTES)
    try:
        world.init()
        yield world, world.start("edge")
    finally:
        world.close()


def ask(address, method, path, body, headers):
    """A request as it is, byte for byte: (status, body)."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close", f"content-length: {len(body)}",
             *[f"{name}: {value}" for name, value in headers.items()], "", ""]
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text)


def ask_over_h2(address, method, path, body, headers):
    """The same over HTTP/2, in cleartext."""
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers.items()]
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", "-X", method, "--request-target", path,
         *(word for line in [*lines, "expect:"] for word in ("-H", line)), "--data-binary", "@-", "-w", r"\n%{http_version} %{http_code}",
         address], input=body, capture_output=True)
    text, _, end = done.stdout.rpartition(b"\n")
    version, status = end.split()
    assert version == b"2", done
    return int(status), json.loads(text)


def name_of(case):
    status, _, _, method, path, body, headers = case
    words = f"{status} {method} {path} {body[:40]!r}"
    return words + "".join(f" {v}" for k, v in headers.items() if v != "application/json")


# curl 7.88 loses an answer that comes before all of a large body was sent; tests/unit/http/test_h2.c has those.
WAYS = [pytest.param(way, case, id=f"{name} {name_of(case)}") for name, way in (("h1", ask), ("h2", ask_over_h2)) for case in CASES
        if way == ask or case[0] != 413]


@pytest.mark.parametrize("way, case", WAYS)
def test_a_bad_request_is_told_what_is_wrong(edge, way, case):
    """Its status, the error, the field, and words for a person."""
    world, process = edge
    status, error, field, *request = case
    answered, said = way(world.url(process), *request)
    assert (answered, said["error"], said["field"]) == (status, error, field), said
    assert said["message"]
    problem = {"type": f"urn:leat:error:{error}", "status": status, "detail": said["message"]}
    assert {name: said[name] for name in problem} == problem and said["title"]


def test_there_are_enough_of_them():
    assert len(CASES) >= 120 and len(set(map(str, CASES))) == len(CASES)


def test_none_of_them_reached_the_log(edge):
    """After all of them a good write is taken, and it is the first record of the log."""
    world, process = edge
    status, said = ask(world.url(process), "PUT", "/things/1", b'{"needed": 1}', {"content-type": "application/json"})
    assert (status, said["offset"]) == (202, 0)
    assert process.alive()
