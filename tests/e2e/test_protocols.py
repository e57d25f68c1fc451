"""HTTP/2 and TLS, as a real client speaks them."""
import json
import re
import signal
import ssl
import subprocess
import threading

import httpx
import pytest

from lib.harness import LEAT, ROOT, key_of, wait_until

TSAN = ROOT / "build" / "tsan" / "leat"
# The edge's thread beside those that append, reload and end it: also by the program that reports what they do to each other.
programs = pytest.mark.parametrize("program", [
    pytest.param(LEAT, id="leat"),
    pytest.param(TSAN, id="tsan", marks=pytest.mark.skipif(not TSAN.exists(), reason="needs scripts/build tsan leat"))])
APP = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(params=["built-in"])
def backend(request):
    return request.param


def curl(*arguments):
    """(HTTP version, status, body)"""
    done = subprocess.run(["curl", "-sS", "--max-time", "30", "-w", r"\n%{http_version} %{http_code}", *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    body, _, last = done.stdout.rpartition("\n")
    version, status = last.split()
    return version, int(status), body


def put(url, number, *arguments):
    path = key_of(APP, f"00000000-0000-0000-0000-0000000001{number:02}")
    return curl("-X", "PUT", "-H", "content-type: application/json", "-d", '{"session_count": 7}', url + path, *arguments)


def counts(world):
    return world.rows("select session_count from subscriptions order by subscription_id")


def put_many(url, *trust):
    """Twenty requests at once over one connection. (curl 7.88 cannot use one again where it knew the protocol beforehand.)"""
    urls = [url + key_of(APP, f"00000000-0000-0000-0000-0000000002{n:02}") for n in range(20)]
    many = subprocess.run(["curl", "-sS", "-Z", "--http2", *trust, "-X", "PUT", "-H", "content-type: application/json",
                           "-d", "{}", "-w", r"%{http_code} %{num_connects}\n", *urls], capture_output=True, text=True, timeout=60)
    assert many.returncode == 0 and many.stdout.count("202 ") == 20, many
    assert many.stdout.count("202 1") == 1, many


@programs
def test_one_port_speaks_both(make_world, program):
    """Over HTTP/2 with prior knowledge a write is what it is over HTTP/1.1; an offered upgrade is declined."""
    world = make_world(shards=1, program=program)
    world.init()
    edge = world.start("run")
    url = world.url(edge)
    assert put(url, 1, "--http1.1")[:2] == ("1.1", 202)
    assert put(url, 2, "--http2-prior-knowledge")[:2] == ("2", 202)
    assert put(url, 3, "--http2")[:2] == ("1.1", 202)
    version, status, body = put(url, 4, "--http2-prior-knowledge", "-d", "&nonsense")
    assert (version, status) == ("2", 400) and '"error":"bad_json"' in body.replace(" ", "")
    lines = "".join('{"method":"PUT","path":"%s","body":{}}\n' % key_of(APP, f"00000000-0000-0000-0000-0000000002{n:02}") for n in range(50))
    version, status, body = curl("-H", "content-type: application/x-ndjson", "--data-binary", lines, "--http2-prior-knowledge", url + "/batch")
    assert (version, status, body.count('"status":202')) == ("2", 207, 50)
    wait_until(lambda: len(counts(world)) == 53, "all rows")
    wait_until(lambda: world.metrics(edge)['leat_edge_protocol_connections_total{protocol="h2"}'] == 3, "the metric")
    assert world.metric(edge, "leat_edge_streams_total") == 3
    assert edge.terminate() == 0


def make_certificate(directory, name, days=2):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "next.key",
                    "-out", directory / "next.pem"], check=True, capture_output=True)
    (directory / "next.key").rename(directory / "key.pem")
    (directory / "next.pem").rename(directory / "cert.pem")


@programs
def test_tls_and_a_renewal_under_load(make_world, tmp_path, program):
    """By ALPN, both protocols; while certificates are replaced again and again no request fails, on old connections or new."""
    make_certificate(tmp_path, "first")
    world = make_world(shards=1, program=program,
                       http={"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}})
    world.init()
    edge = world.start("run")
    address = edge.address("edge listens")
    url = "https://" + address
    assert put(url, 1, "--http2", "--cacert", tmp_path / "cert.pem")[:2] == ("2", 202)
    assert put(url, 2, "--http1.1", "--cacert", tmp_path / "cert.pem")[:2] == ("1.1", 202)
    put_many(url, "--cacert", tmp_path / "cert.pem")
    over = threading.Event()
    failures, done = [], [0, 0, 0]

    def put_one(client, number):
        answer = client.put(url + key_of(APP, f"00000000-0000-0000-0000-0000000003{number:02}"), json={})
        assert answer.status_code == 202, answer.text

    def put_by_another(number):
        with httpx.Client(verify=False, timeout=30) as client:
            put_one(client, number)

    def repeat(number, send):
        try:
            while not over.is_set():
                send()
                done[number] += 1
        except Exception as error:
            failures.append(error)

    kept = httpx.Client(verify=False, timeout=30)
    senders = [lambda: put_one(kept, 0), lambda: put_by_another(1), lambda: put_many(url, "--insecure")]
    threads = [threading.Thread(target=repeat, args=(number, send)) for number, send in enumerate(senders)]
    for thread in threads:
        thread.start()
    for round in range(1, 6):
        before = list(done)
        make_certificate(tmp_path, f"round-{round}")
        edge.signal(signal.SIGHUP)
        wait_until(lambda: failures or all(now > was + 2 for now, was in zip(done, before)), "requests after the reload")
    over.set()
    for thread in threads:
        thread.join()
    assert not failures
    edge.wait_for("file read again", count=5)
    newest = (tmp_path / "cert.pem").read_text().strip()
    wait_until(lambda: ssl.get_server_certificate(tuple(address.split(":"))).strip() == newest, "the newest certificate")
    (tmp_path / "key.pem").write_text("not a key")
    edge.signal(signal.SIGHUP)
    edge.wait_for("http.tls.key: cannot load the key")
    assert put(url, 3, "--http2", "--insecure")[:2] == ("2", 202)
    assert world.metric(edge, "leat_edge_tls_handshakes_total") > 3
    assert edge.terminate() == 0


def test_check_looks_at_the_certificate(make_world, tmp_path):
    """It warns before one expires, and names what cannot be read."""
    make_certificate(tmp_path, "short")
    world = make_world(shards=1, http={"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}})

    def found():
        checks = json.loads(world.leat("check", "--json").stdout)["checks"]
        return next((check["result"], check["what"]) for check in checks if check["check"] == "certificate")

    result, what = found()
    assert result == "warning" and re.search(r"cert.pem expires on 20\d\d-\d\d-\d\d$", what), what
    (tmp_path / "key.pem").write_text("nonsense")
    result, what = found()
    assert result == "failed" and "http.tls.key" in what and "key.pem" in what


def test_a_certificate_that_ends_is_told_of(make_world, tmp_path):
    """By a line of the log at a start and whenever it is read again, and by a metric; a renewed one is not."""
    make_certificate(tmp_path, "short")
    world = make_world(shards=1, http={"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}})
    world.init()
    edge = world.start("run")

    def end():
        text = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", tmp_path / "cert.pem"], check=True, capture_output=True,
                              text=True).stdout
        return ssl.cert_time_to_seconds(text.strip().partition("=")[2])

    def metric():
        return world.metric(edge, "leat_edge_tls_certificate_expires_seconds")

    edge.wait_for("certificate expires soon")
    assert metric() == end()
    make_certificate(tmp_path, "short again")
    edge.signal(signal.SIGHUP)
    edge.wait_for("certificate expires soon", count=2)
    wait_until(lambda: metric() == end(), "the metric")
    make_certificate(tmp_path, "long", days=90)
    edge.signal(signal.SIGHUP)
    wait_until(lambda: metric() == end(), "the metric")
    assert edge.text().count("certificate expires soon") in (2, 3)  # a look may have come between
    assert edge.terminate() == 0


def test_a_bad_certificate_is_an_error_at_start(make_world, tmp_path):
    """It names the setting and its line."""
    make_certificate(tmp_path, "first")
    (tmp_path / "key.pem").write_text("not a key")
    world = make_world(shards=1, http={"tls": {"certificate": str(tmp_path / "cert.pem"), "key": str(tmp_path / "key.pem")}})
    world.init()
    done = world.leat("run")
    assert done.returncode != 0
    assert "leat.yaml:" in done.stderr and "http.tls.key: cannot load the key from" in done.stderr
