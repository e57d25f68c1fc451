"""The page /metrics as its readers see it: strict parsers, and a real Prometheus, which loses a whole page for a blank too many."""

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import httpx
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from lib.harness import key_of, wait_until
from lib.own_broker import free_port

ROOT = Path(__file__).resolve().parents[2]
# That of this Debian, and one of the next generation, which scripts/setup --matrix builds.
PROMETHEUS = {"Debian's": ROOT / ".dev" / "prometheus" / "usr" / "bin" / "prometheus", "3": ROOT / ".dev" / "go" / "bin" / "prometheus"}
OPEN = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,text/plain;version=0.0.4;q=0.4,*/*;q=0.3"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACED = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


def samples_of(families):
    """{(name, labels): value}; a name in one family only, and no series twice."""
    found, names = {}, set()
    for family in families:
        assert family.name not in names and family.documentation
        names.add(family.name)
        for sample in family.samples:
            place = (sample.name, tuple(sorted(sample.labels.items())))
            assert place not in found and sample.timestamp is None
            found[place] = sample.value
    return found


def pages(process):
    url = f"http://{process.address('admin listens')}/metrics"
    return httpx.get(url, timeout=10), httpx.get(url, headers={"Accept": OPEN}, timeout=10)


# What a process has of docs/metrics.md, by heading.
GROUPS = {"run": {"The process", "The edge", "Each shard", "The worker"}, "edge": {"The process", "The edge"},
          "apply": {"The process", "Each shard", "The worker"}}


def documented_counters(world, command):
    reference = subprocess.run([world.program, "metrics"], capture_output=True, text=True, check=True).stdout
    groups = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", reference, re.M | re.S))
    assert set(groups) == GROUPS["run"] | {"Buckets"}
    return {name for group in GROUPS[command] for name in re.findall(r"^\| `(leat_\w+)` \| counter \|", groups[group], re.M)}


@pytest.mark.parametrize("command", GROUPS)
def test_each_counter_is_there_before_the_first_write(make_world, command):
    """A rate needs the 0: what appears with its first event has lost that one."""
    world = make_world(shards=1, partitions=1, tracing={"endpoint": f"http://127.0.0.1:{free_port()}/v1/traces"})
    world.init()
    process = world.start(command)
    shown = {name for name, _ in samples_of(parser.text_string_to_metric_families(pages(process)[0].text))}
    assert documented_counters(world, command) - shown == set()


@pytest.fixture(params=PROMETHEUS)
def prometheus(tmp_path, request):
    """Starts one that scrapes an address each second; its URL."""
    started, program = [], PROMETHEUS[request.param]
    if request.param == "3" and not program.exists():
        (pytest.fail if os.environ.get("LEAT_MONITORS") else pytest.skip)("scripts/setup --matrix builds it")

    def start(address):
        port = free_port()
        config = tmp_path / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: leat\n  static_configs:\n"
                          f"  - targets: ['{address}']\n")
        with open(tmp_path / "prometheus.log", "w") as log:
            started.append(subprocess.Popen([program, f"--config.file={config}", "--enable-feature=exemplar-storage", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                                             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(tmp_path / "tsdb", ignore_errors=True)


def answer(url, query):
    """{(name, labels): value} of an instant query; None: it does not answer yet."""
    try:
        result = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=10).json()["data"]["result"]
    except (httpx.HTTPError, ValueError):
        return None
    ours = ({k: v for k, v in row["metric"].items() if k not in ("job", "instance")} for row in result)
    return {(labels.pop("__name__", ""), tuple(sorted(labels.items()))): float(row["value"][1]) for labels, row in zip(ours, result)}


def exemplars(url, series):
    """Trace ids of the exemplars of a histogram."""
    found = httpx.get(f"{url}/api/v1/query_exemplars", params={"query": f"{series}_bucket", "start": 0, "end": 4e9}, timeout=10).json()
    return {e["labels"]["trace_id"] for one in found["data"] for e in one["exemplars"]}


def test_the_page_is_read_without_loss(make_world, prometheus):
    """Both formats by strict parsers, the same series in both, each documented; and each is found in a Prometheus that scraped it,
    exemplars included."""
    nobody = f"http://127.0.0.1:{free_port()}/v1/traces"
    world = make_world(log="local", store="sqlite", tracing={"endpoint": nobody, "sample": "0"})
    leat = world.start("run")
    app = str(uuid.uuid4())
    with world.client(leat) as http:
        for _ in range(20):
            assert http.put(key_of(app, str(uuid.uuid4())), json={"session_count": 1}, headers=TRACED).status_code == 202
        assert http.put(key_of(app, "not-a-uuid"), json={}).status_code == 422
    wait_until(lambda: world.metric(leat, "leat_rows_total") == 20, "rows in the metrics")

    text, opened = pages(leat)
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert opened.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    plain = samples_of(parser.text_string_to_metric_families(text.text))
    strict = samples_of(openmetrics.text_string_to_metric_families(opened.text))
    # Gauges that are not known come and go.
    assert {place for place in plain if not re.search("lag|seconds$", place[0])} <= set(strict)
    assert plain[("leat_requests_total", (("code", "202"),))] == 20 and strict[("leat_requests_total", (("code", "503"),))] == 0
    documented = set(re.findall(r"^\| `(leat_\w+)` \|", subprocess.run([world.program, "metrics"], capture_output=True, text=True,
                                                                       check=True).stdout, re.M))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name, _ in strict} <= documented

    url = prometheus(leat.address("admin listens"))
    wait_until(lambda: (answer(url, "scrape_samples_scraped") or {0: 0}).popitem()[1] > 0, "a scrape")
    found = answer(url, '{job="leat"}')
    assert found[("up", ())] == 1
    later = samples_of(openmetrics.text_string_to_metric_families(pages(leat)[1].text))
    assert {place for place in strict if place in later} <= set(found)
    assert found[("leat_requests_total", (("code", "202"),))] == 20
    for series in ("leat_accept_to_durable_seconds", "leat_apply_lag_seconds"):
        assert exemplars(url, series) == {TRACE}, series
