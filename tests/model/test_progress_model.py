"""The progress protocol as a model (progress.pml), checked by spin in every order of its steps, and with one rule left out."""

import re
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("progress.pml")

# Both bounds at once (3 claims, 1 compaction) are 21 million states and 3.3 GB; checked by hand, without a violation:
#   spin -a progress.pml && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000 -w24
BOUNDS = {"three claims": ["-DCOMPACTIONS=0"], "compaction": ["-DCLAIMS=2"]}
RULES = ["EPOCH", "NO_NEEDS", "NO_CLAIM", "MEMORY", "PAST_OPEN", "NO_LOCK"]


def check(folder, defines):
    """How many violations there are, and of how many states."""
    def run(*command):
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=240).stdout

    run("spin", "-a", *defines, MODEL)
    run("gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
    said = run("./pan", "-m200000", "-w23")
    assert "max search depth too small" not in said
    return int(re.search(r"errors: (\d+)", said)[1]), float(re.search(r"([\d.e+]+) states, stored", said)[1])


@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_protocol_keeps_its_promise_in_every_order(tmp_path, bounds):
    """Rows and progress agree after every step of two owners, a lagging replica, a failover and a lost connection."""
    errors, states = check(tmp_path, BOUNDS[bounds])
    assert errors == 0 and states > 100_000


@pytest.mark.parametrize("rule", RULES)
def test_the_harm_of_leaving_a_rule_out_is_found(tmp_path, rule):
    errors, _ = check(tmp_path, [f"-D{rule}"])
    assert errors == 1
