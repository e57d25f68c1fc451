"""The peers that are fetched from Maven Central: they compile, and bench/versus measures them. scripts/test --matrix runs this."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from lib.benches import run, versus_figures
from lib.harness import ROOT

CENTRAL = "https://repo.maven.apache.org/maven2/"

pytestmark = pytest.mark.skipif(not os.environ.get("LEAT_PEERS"), reason="scripts/test --matrix fetches the peers and runs this")


def why_unreachable():
    """Of Maven Central; None if it answers."""
    try:
        urllib.request.urlopen(CENTRAL, timeout=30).close()
        return None
    except urllib.error.HTTPError:
        return None
    except OSError as error:
        return f"Maven Central cannot be reached: {error}"


def prepare(peer):
    """What was fetched before is taken without a network."""
    done = subprocess.run([ROOT / "bench" / "peers" / peer / "run", "--prepare"], capture_output=True, text=True)
    if done.returncode != 0 and (reason := why_unreachable()):
        pytest.skip(reason)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_versus_measures_the_consumers_from_maven(tmp_path):
    """parallel-consumer and Debezium's sink apply every load, their rows are right, and each has all figures."""
    peers = ("parallel-consumer", "debezium")
    for peer in peers:
        prepare(peer)
    done = run("versus", "--peers", ",".join(peers), "--json", tmp_path / "figures.json", timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads((tmp_path / "figures.json").read_text())) == set(versus_figures(*peers))


@pytest.mark.timeout(600)
def test_the_server_from_maven_compiles():
    """bench/peers/vertx/run --prepare."""
    prepare("vertx")
