"""One trace shows the whole life of a write, from its request to its transaction; a receiver that is gone costs spans and no
writes. The receiver here is stricter than a real one, which ignores what it does not know and takes ids of any kind."""
import contextlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psycopg
import pytest
from prometheus_client.openmetrics import parser as openmetrics

from lib.harness import wait_until

TABLES = """create table things (id int primary key, n int not null default 0 check (n >= 0));
            create table parents (id int primary key);
            create table children (id int primary key references parents, n int not null default 0)"""
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add"}}
CHILDREN = {"path": "/children/{id}", "table": "children", "columns": {"n": "add"}, "on_refused": "hold"}

TIME, ID, TRACE = r"[1-9]\d{18}", r"(?!0{16})[0-9a-f]{16}", r"(?!0{32})[0-9a-f]{32}"
VALUES = {"stringValue": str, "intValue": r"-?\d+", "doubleValue": float, "boolValue": bool}
LINK = {"traceId": TRACE, "spanId": ID, "flags": int, "attributes": list}
SPAN = {**LINK, "traceState": str, "parentSpanId": ID, "name": str, "kind": int, "startTimeUnixNano": TIME, "endTimeUnixNano": TIME,
        "links": list, "droppedLinksCount": int, "status": dict}
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5


def check(found, schema):
    """Members that are known, each of its type, none of them null or empty."""
    assert found and set(found) <= set(schema), found
    for name, value in found.items():
        wanted = schema[name]
        if isinstance(wanted, str):
            assert isinstance(value, str) and re.fullmatch(wanted, value), (name, value)
        else:
            assert type(value) is wanted and (value or wanted in (bool, float)), (name, value)


def attributes(owner):
    """{key: value}; no key twice."""
    found = owner.get("attributes", [])
    for attribute in found:
        assert set(attribute) == {"key", "value"} and len(attribute["value"]) == 1, attribute
        check(attribute["value"], VALUES)
    values = {a["key"]: int(v) if k == "intValue" else v for a in found for k, v in a["value"].items()}
    assert len(values) == len(found)
    return values


class Receiver:
    """OTLP over HTTP, JSON only."""

    def __init__(self):
        self.spans, self.faults, self.sources = [], [], set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    assert (self.path, self.headers["content-type"], self.headers["x-team"]) == ("/v1/traces", "application/json", "a b")
                    receiver.take(json.loads(body))
                except Exception as fault:  # noqa: BLE001: whatever it is, the test tells
                    receiver.faults.append(repr(fault))
                answer = b'{"partialSuccess":{}}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request):
        assert set(request) == {"resourceSpans"}
        for resource in request["resourceSpans"]:
            assert set(resource) == {"resource", "scopeSpans"}
            source = attributes(resource["resource"])
            assert source["service.name"] == "orders" and set(source) == {"service.name", "service.version", "service.instance.id", "host.name"}
            self.sources.add(source["service.instance.id"])
            for scope in resource["scopeSpans"]:
                assert scope["scope"]["name"] == "leat" and scope["schemaUrl"].startswith("https://opentelemetry.io/schemas/")
                self.spans += [self.span(s) for s in scope["spans"]]

    @staticmethod
    def span(span):
        check(span, SPAN)
        assert int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) and span["flags"] & 1
        assert "status" not in span or span["status"] == {"code": 2}
        for link in span.get("links", []):
            check(link, LINK)
            attributes(link)
        return {**span, "values": attributes(span), "fails": "status" in span}

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def of(self, trace):
        return [s for s in list(self.spans) if s["traceId"] == trace]

    def wait(self, trace, count):
        """The spans of the trace in the order of their beginnings, and the apply spans that link to it."""
        wait_until(lambda: len(self.of(trace)) >= count, f"{count} spans of {trace}: {[s['name'] for s in self.of(trace)]}")
        applies = lambda: [s for s in list(self.spans) if any(l["traceId"] == trace for l in s.get("links", [])) and s["kind"] == CLIENT]  # noqa: E731
        wanted = {l["spanId"] for s in self.of(trace) for l in s.get("links", []) if l["traceId"] != trace}
        wait_until(lambda: wanted <= {s["spanId"] for s in applies()}, "the apply spans")
        return sorted(self.of(trace), key=lambda s: int(s["startTimeUnixNano"])), applies()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()
    assert not receiver.faults


def trace_of(number):
    return f"{number:032x}"


def caller(number, flags="01"):
    return {"traceparent": f"00-{trace_of(number)}-00000000000000aa-{flags}", "tracestate": "a=1"}


def linked(span):
    return {(l["traceId"], l["spanId"]) for l in span.get("links", [])}


def me(span):
    return span["traceId"], span["spanId"]


@pytest.mark.parametrize("backend", ["servers", "built-in"], indirect=True)
def test_a_trace_shows_the_life_of_a_write(make_world, backend, receiver):
    world = make_world(shards=1, partitions=1, table_sql=TABLES, route=ROUTE, apply={"patience": "0s" if backend == "built-in" else "60s"},
                       tracing={"endpoint": receiver.url, "service": "orders", "sample": "0", "forced_per_second": 100000, "queue": 64,
                                "headers": {"X-Team": "a b"}})
    world.settings["routes"].append(CHILDREN)
    world.write_config()
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    system = {"servers": "kafka", "built-in": "leat"}[backend]
    with world.client(edge) as http, contextlib.ExitStack() as locks:
        if backend == "servers":  # a row that is locked meanwhile
            lock = locks.enter_context(psycopg.connect(world.dsns["a"]))
            lock.execute("insert into things values (9)")
            http.patch("/things/9", json={"n": 1}, headers=caller(9))

        # one write
        said = http.patch("/things/1", json={"n": 1}, headers=caller(1)).json()
        (accept, send, process), applies = receiver.wait(trace_of(1), 3)
        assert [(s["name"].split()[0], s["kind"]) for s in (accept, send, process)] == [("PATCH", SERVER), ("send", PRODUCER), ("process", CONSUMER)]
        assert accept["name"] == "PATCH /things/{id}" and accept["parentSpanId"] == "00000000000000aa"
        assert accept["values"]["http.response.status_code"] == 202 and accept["traceState"] == "a=1"
        assert send["parentSpanId"] == accept["spanId"] and process["parentSpanId"] == send["spanId"]
        assert (accept["flags"], send["flags"], process["flags"]) == (0x301, 0x101, 0x301)
        place = {"messaging.destination.partition.id": str(said["partition"]), "messaging.kafka.offset": said["offset"]}
        for span in (send, process):
            assert span["values"].items() >= {**place, "messaging.system": system, "messaging.operation.name": span["name"].split()[0]}.items()
            assert span["values"]["messaging.destination.name"] == said["topic"] and span["name"].endswith(" " + said["topic"])
        assert process["values"].items() >= {"leat.outcome": "applied", "leat.table": "things", "leat.operation": "patch", "leat.shard": "a"}.items()
        assert 0 <= process["values"]["leat.lag_seconds"] < 60 and process["values"]["leat.attempts"] >= 1
        (batch,) = [s for s in applies if not s["fails"]]
        assert (batch["name"], batch["values"]["leat.outcome"]) == ("apply a", "applied") and "parentSpanId" not in batch
        assert me(send) in linked(batch) and me(batch) in linked(process) and not any(s["fails"] for s in (accept, send, process))
        (link,) = [l for l in batch["links"] if l["spanId"] == send["spanId"]]
        assert attributes(link) == place

        # a batch
        items = [{"method": "PATCH", "path": f"/things/{n}", "body": {"n": 1}} for n in (1, 1, 2)]
        assert http.post("/batch", json=items, headers=caller(2)).status_code == 207
        spans, _ = receiver.wait(trace_of(2), 5)
        assert Counter(s["name"].split()[0] for s in spans) == {"POST": 1, "send": 1, "process": 3}
        assert spans[0]["name"] == "POST /batch" and spans[1]["values"]["messaging.batch.message_count"] == 3
        assert all(s["parentSpanId"] == spans[1]["spanId"] and s["values"]["leat.outcome"] == "applied" for s in spans[2:])

        # parked: it ends there, and the span that follows links to it
        if backend == "servers":
            wait_until(lambda: http.patch("/things/2", json={"n": 1}) and len(receiver.of(trace_of(9))) >= 3, "a park, while others get through")
            (*_, parked), _ = receiver.wait(trace_of(9), 3)
            assert parked["fails"] and parked["values"]["leat.outcome"] == "parked"
            lock.commit()

        # a dead letter
        http.patch("/things/1", json={"n": -1000}, headers=caller(3))
        (_, send, process), applies = receiver.wait(trace_of(3), 3)
        assert process["fails"] and process["values"]["leat.outcome"] == "dead_letter" and process["values"]["error.type"] == applies[0]["values"]["error.type"]
        assert len(applies) >= 2 and [s["fails"] for s in applies].count(False) == 1 and {me(s) for s in applies} <= linked(process)

        # held, and applied once its parent is there: the second span links to the first
        http.patch("/children/7", json={"n": 1}, headers=caller(4))
        (*_, held), _ = receiver.wait(trace_of(4), 3)
        assert held["fails"] and held["values"]["leat.outcome"] == "held"
        if backend == "servers":
            with world.db("a") as db:
                db.execute("insert into parents values (7)")
            (*_, resumed), _ = receiver.wait(trace_of(4), 4)
            assert not resumed["fails"] and resumed["values"]["leat.outcome"] == "applied"
            assert resumed["parentSpanId"] == held["parentSpanId"] and me(held) in linked(resumed)

            (*_, resumed), _ = receiver.wait(trace_of(9), 4)
            assert not resumed["fails"] and resumed["values"]["leat.outcome"] == "applied"
            assert resumed["parentSpanId"] == parked["parentSpanId"] and me(parked) in linked(resumed)

        # metrics lead to traces
        for process, name in ((edge, "leat_accept_to_durable_seconds"), (apply, "leat_apply_lag_seconds")):
            page = httpx.get(f"http://{process.address('admin listens')}/metrics", headers={"accept": "application/openmetrics-text"}).text
            found = [s.exemplar for f in openmetrics.text_string_to_metric_families(page) for s in f.samples if s.exemplar and f.name == name]
            assert found and all(e.labels["trace_id"] in {s["traceId"] for s in list(receiver.spans)} for e in found)

        # what is refused, and what is not sampled
        assert http.patch("/things/x", json={"n": 1}, headers=caller(5)).status_code == 422
        (accept,), _ = receiver.wait(trace_of(5), 1)
        assert accept["values"]["http.response.status_code"] == 422 and not accept["fails"]
        http.patch("/things/3", json={"n": 1}, headers=caller(6, "00"))
        http.patch("/things/4", json={"n": 1})
        rows = 4 + (backend == "servers")
        wait_until(lambda: world.rows("select count(*) from things") == [(rows,)], "the rows")
        assert not receiver.of(trace_of(6))

        # the receiver goes away
        exported = world.metrics(edge)["leat_trace_spans_exported_total"]
        assert exported > 0 and not any(v for k, v in world.metrics(edge).items() if k.startswith("leat_trace_spans_dropped_total"))
        receiver.close()
        for number in range(200):
            assert http.patch(f"/things/{number + 10}", json={"n": 1}, headers=caller(100 + number)).status_code == 202
        wait_until(lambda: world.metrics(edge)['leat_trace_spans_dropped_total{reason="queue_full"}'] > 0, "spans that are dropped")
        wait_until(lambda: world.rows("select count(*) from things") == [(rows + 200,)], "the rows")
    assert len(receiver.sources) == len({edge.pid, apply.pid})
    for process in {edge.pid: edge, apply.pid: apply}.values():
        assert process.terminate() == 0
