"""An edge is stopped and started again, and no client notices: alone, and behind the balancers of docs/operations.md."""

import copy
import csv
import http.client
import os
import re
import shutil
import signal
import socket
import threading
import time
import uuid

import httpx
import pytest
import yaml

from lib.harness import ROOT, Process, as_json, key_of, wait_until

RESTARTS = {"http/1.1": 20, "h2": 6}
DELAY = {"http/1.1": "1s", "h2": "3s"}  # over HTTP/2 the balancer must have noticed before its end
CLIENTS = 8  # of each balancer
RATE = 200  # PATCHes a second, of all clients


@pytest.mark.parametrize("backend", ["built-in"], indirect=True)
def test_an_edge_that_leaves_serves_on_until_the_delay_or_a_second_signal(make_world):
    """After SIGTERM /readyz answers 503 and a write 202, each on a connection that closes; SIGINT does not wait at all."""
    world = make_world(shards=1, http={"drain_delay": "10m"})
    path = key_of(uuid.uuid4(), uuid.uuid4())
    for last in (signal.SIGTERM, signal.SIGINT):
        leat = world.start("run")
        with world.client(leat) as client:
            assert "connection" not in client.patch(path, json={"session_count": 1}).headers
            leat.signal(signal.SIGTERM)
            wait_until(lambda: client.get("/readyz").status_code == 503, "the edge to leave")
            assert "shutting down" in client.get("/readyz").text
            written = client.patch(path, json={"session_count": 1})
            assert (written.status_code, written.headers["connection"]) == (202, "close")
            assert httpx.get(f"http://{leat.address('admin listens')}/readyz").status_code == 503
        leat.signal(last)
        assert leat.popen.wait(60) == 0
    leat = world.start("run")
    leat.signal(signal.SIGINT)
    assert leat.popen.wait(60) == 0 and "still serving" not in leat.text()
    leat = world.start("run")
    wait_until(lambda: world.rows("select session_count from subscriptions") == [(9,)], "four writes")


# ---- behind balancers ----


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def documented(first_line, ports, port):
    """The configuration in docs/operations.md that begins so, with the test's addresses and a test's patience."""
    block = re.search(rf"((?:    .*\n|\n)*    {re.escape(first_line)}\n(?:    .*\n|\n)*)", (ROOT / "docs" / "operations.md").read_text()).group(1)
    for old, new in (("10.0.0.1:8080", f"127.0.0.1:{ports[0]}"), ("10.0.0.2:8080", f"127.0.0.1:{ports[1]}"),
                     ("bind :80", f"bind 127.0.0.1:{port}"), ("listen 80;", f"listen 127.0.0.1:{port};"), ("inter 1s", "inter 200ms")):
        block = block.replace(old, new)
    return "\n".join(line.removeprefix("    ") for line in block.splitlines()) + "\n"


# What docs/operations.md says to change for HTTP/2 to the edges.
HAPROXY_H2 = ((r"(\nbackend edges\n)", r"\1    http-reuse always\n"), (r"( server edge\d .*)", r"\1 proto h2 check-proto h1"))
NGINX_H2 = ((r"proxy_pass http:", "grpc_pass grpc:"), (r" *proxy_(http_version|set_header Connection) .*\n", ""), (r"proxy_", "grpc_"))


def changed(text, changes):
    for old, new in changes:
        text, count = re.subn(old, new, text)
        assert count > 0, old
    return text


def start_haproxy(world, ports, port, changes):
    path, stats = world.directory / "haproxy.cfg", world.directory / "haproxy.sock"
    path.write_text(f"global\n    stats socket {stats} level admin\n" + changed(documented("defaults", ports, port), changes))
    process = Process([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", path], world.directory / "haproxy.log")
    world.processes.append(process)
    wait_until(lambda: up(stats) == {"edge1", "edge2"}, "HAProxy to find both edges")
    return stats


def up(stats):
    """The servers that HAProxy sends requests to."""
    try:
        with socket.socket(socket.AF_UNIX) as asks:
            asks.settimeout(10)
            asks.connect(str(stats))
            asks.sendall(b"show stat\n")
            text = b"".join(iter(lambda: asks.recv(65536), b"")).decode()
    except OSError:
        return set()
    rows = csv.DictReader(text.lstrip("# ").splitlines())
    return {row["svname"] for row in rows if row["svname"].startswith("edge") and row["status"] == "UP"}


def start_nginx(world, ports, port, changes):
    folder = world.directory / "nginx"
    folder.mkdir()
    temp = "\n".join(f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off;\npid {folder}/pid;\nerror_log stderr warn;\nworker_processes 2;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{temp}\n{changed(documented('upstream edges {', ports, port), changes)}}}\n")
    process = Process([shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"],
                      world.directory / "nginx.log")
    world.processes.append(process)
    wait_until(lambda: answers(port), "nginx to listen")


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


class Client(threading.Thread):
    """Writes to a row of its own at its rate, over one connection while that lasts."""

    def __init__(self, port, number, stop):
        super().__init__()
        self.port, self.number, self.stop = port, number, stop
        self.path = key_of(uuid.uuid4(), uuid.uuid4())
        self.written, self.failed = 0, []

    def run(self):
        period = 2 * CLIENTS / RATE
        due = time.monotonic() + period * self.number / CLIENTS
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.stop.is_set() and not self.failed:
            time.sleep(max(0, due - time.monotonic()))
            due += period
            try:
                connection.request("PATCH", self.path, as_json({"session_count": 1}), {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((self.port, repr(error)))
                return
            if answer.status == 202:
                self.written += 1
            else:
                self.failed.append((self.port, answer.status, text))
        connection.close()


class Edge:
    """One that is started again on the same port."""

    def __init__(self, world, number, port, delay):
        self.world, self.number, self.lives = world, number, 0
        settings = copy.deepcopy(world.settings)
        settings |= {"listen": f"127.0.0.1:{port}", "http": {"drain_delay": delay}, "data_dir": str(world.directory / f"data{number}")}
        self.config = world.directory / f"edge{number}.yaml"
        self.config.write_text(yaml.safe_dump(settings))

    def start(self):
        self.lives += 1
        self.process = Process([self.world.program, "edge", "--config", self.config],
                               self.world.directory / f"edge{self.number}-{self.lives}.log")
        self.world.processes.append(self.process)
        self.process.wait_for("leat is up command=edge")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_rolling_restarts_behind_nginx_and_haproxy_lose_no_request(world, protocol):
    """Two edges, restarted in turn under load through both balancers, which speak HTTP/1.1 or HTTP/2 with them: every PATCH is answered
    202, and counted once."""
    ports = free_ports(4)
    edges = [Edge(world, number, port, DELAY[protocol]) for number, port in enumerate(ports[:2])]
    for edge in edges:
        edge.start()
    apply = world.start("apply")
    stats = start_haproxy(world, ports, ports[2], HAPROXY_H2 if protocol == "h2" else ())
    start_nginx(world, ports, ports[3], NGINX_H2 if protocol == "h2" else ())
    stop = threading.Event()
    clients = [Client(port, number, stop) for port in ports[2:] for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for restart in range(RESTARTS[protocol]):
            edge = edges[restart % 2]
            wait_until(lambda: world.metric(edge.process, "leat_requests_total") > 0, "requests at the edge")
            wait_until(lambda: (world.metric(edge.process, "leat_edge_streams_total") > 0) == (protocol == "h2"), "the protocol")
            assert edge.process.terminate() == 0
            edge.start()
            wait_until(lambda: up(stats) == {"edge1", "edge2"}, "HAProxy to find it again")
            assert [client.failed for client in clients if client.failed] == []
    finally:
        stop.set()
        for client in clients:
            client.join()
    assert [client.failed for client in clients if client.failed] == []
    total = sum(client.written for client in clients)
    assert total > RESTARTS[protocol] * 50
    expected = sorted((client.path.split("/")[4], 5 + client.written) for client in clients)
    found = "select subscription_id::text, session_count from subscriptions"
    wait_until(lambda: sorted(world.rows(found)) == expected, f"{total} writes to be counted")
    assert apply.terminate() == 0
