"""Spans through a real OpenTelemetry Collector: it takes what leat sends, and what it passes on is still the life of the write.
scripts/setup --matrix builds it."""
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.harness import ROOT, wait_until
from lib.own_broker import free_port

COLLECTOR = ROOT / ".dev" / "go" / "bin" / "collector"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5

pytestmark = pytest.mark.skipif(not COLLECTOR.exists() and not os.environ.get("LEAT_MONITORS"), reason="scripts/setup --matrix builds the Collector")


class Backend:
    """What stands behind a Collector: it keeps the spans of each resource."""

    def __init__(self):
        self.spans = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                for resource in body["resourceSpans"]:
                    service = values(resource["resource"])["service.name"]
                    spans.extend({**s, "service": service, "scope": scope["scope"]["name"], "values": values(s)}
                                 for scope in resource["scopeSpans"] for s in scope["spans"])
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def values(owner):
    """{key: value} of its attributes."""
    return {a["key"]: next(iter(a["value"].values())) for a in owner.get("attributes", [])}


@pytest.fixture
def backend_of_collector():
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
def collector(tmp_path, backend_of_collector):
    """The URL to which it takes spans; it passes each batch on at once."""
    port, log = free_port(), tmp_path / "collector.log"
    config = {"receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
              "exporters": {"otlphttp": {"endpoint": backend_of_collector.url, "encoding": "json", "compression": "none"}},
              "service": {"telemetry": {"metrics": {"level": "none"}},
                          "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}}}}
    file = tmp_path / "collector.yaml"
    file.write_text(json.dumps(config))
    with open(log, "w") as out:
        process = subprocess.Popen([COLLECTOR, f"--config={file}"], stdout=out, stderr=out)
    wait_until(lambda: "Everything is ready" in log.read_text() or process.poll() is not None, "the Collector")
    assert process.poll() is None, log.read_text()
    yield f"http://127.0.0.1:{port}/v1/traces"
    process.terminate()
    process.wait(30)


def test_a_collector_takes_the_spans_of_a_write(make_world, collector, backend_of_collector):
    """One write, read back behind the Collector: accept, send and process in one trace, and the transaction linked both ways; none is
    refused or dropped."""
    world = make_world(log="local", store="sqlite", tracing={"endpoint": collector, "service": "orders", "sample": "0"})
    leat = world.start("run")
    with world.client(leat) as http:
        answer = http.put("/apps/7b1c2d3e-0000-4000-8000-000000000001/subscriptions/7b1c2d3e-0000-4000-8000-000000000002", json={"session_count": 1},
                          headers={"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=1"})
        assert answer.status_code == 202, answer.text
    spans = backend_of_collector.spans
    of_trace = lambda: [s for s in list(spans) if s["traceId"] == TRACE]  # noqa: E731
    wait_until(lambda: len(of_trace()) == 3 and any(s["kind"] == CLIENT for s in list(spans)), "four spans")

    by_kind = {s["kind"]: s for s in spans}
    accept, send, process, apply = (by_kind[kind] for kind in (SERVER, PRODUCER, CONSUMER, CLIENT))
    assert len(spans) == 4 and {s["service"] for s in spans} == {"orders"} and {s["scope"] for s in spans} == {"leat"}
    assert accept["parentSpanId"] == CALLER and accept["traceState"] == "vendor=1"
    assert send["parentSpanId"] == accept["spanId"] and process["parentSpanId"] == send["spanId"]
    assert [(l["traceId"], l["spanId"]) for l in apply["links"]] == [(TRACE, send["spanId"])]
    assert [(l["traceId"], l["spanId"]) for l in process["links"]] == [(apply["traceId"], apply["spanId"])]
    assert accept["values"]["http.response.status_code"] == "202" and process["values"]["leat.outcome"] == "applied"
    assert all(int(s["startTimeUnixNano"]) <= int(s["endTimeUnixNano"]) for s in spans)
    wait_until(lambda: world.metric(leat, "leat_trace_spans_exported_total") == 4, "the count")
    assert world.metric(leat, "leat_trace_spans_dropped_total") == 0
    assert leat.terminate() == 0
