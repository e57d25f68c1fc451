"""The progress protocol (progress.pml), parked records (parking.pml) and a key that changes its way (modes.pml) as models, checked
by spin in every order of their steps, and with one rule left out."""

import re
import subprocess
from pathlib import Path

import pytest

# Larger bounds, checked by hand without a violation:
#   progress  3 claims and 1 compaction: 21 million states and 3.3 GB
#   parking   -DMESSAGES=3 -DCLAIMS=2: 10 million states and 1.6 GB
#   modes     -DRECORDS=2: 3.8 million states
#   spin -a progress.pml && gcc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000 -w24
BOUNDS = [("progress", "three claims", ["-DCOMPACTIONS=0"]), ("progress", "compaction", ["-DCLAIMS=2"]),
          ("parking", "three claims", ["-DCOMPACTIONS=0", "-DSEQS=4"]), ("parking", "compaction", ["-DCLAIMS=2", "-DSEQS=4"]),
          ("modes", "two changes", [])]
RULES = {"progress": ["EPOCH", "NO_NEEDS", "NO_CLAIM", "MEMORY", "PAST_OPEN", "NO_LOCK"],
         "parking": ["NO_TOKEN", "NO_CLAIM", "NEEDS_FORGET", "BASE_FORGETS", "MEMORY_FIRST", "MARK_STAYS", "NO_PROGRESS", "KEPT",
                     "LOAD_ANY"],
         "modes": ["NO_LEASE", "LEASE_FROM_END", "NO_LOOK", "NO_WAIT", "NO_EMPTY", "NO_LOCK", "NO_CHAIN", "NO_REREAD", "OPEN"]}


def check(model, folder, defines):
    """How many violations there are, and of how many states."""
    def run(*command):
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=240).stdout

    run("spin", "-a", *defines, Path(__file__).with_name(f"{model}.pml"))
    run("gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-o", "pan", "pan.c")
    said = run("./pan", "-m200000", "-w23")
    assert "max search depth too small" not in said
    return int(re.search(r"errors: (\d+)", said)[1]), float(re.search(r"([\d.e+]+) states, stored", said)[1])


@pytest.mark.parametrize("model, bounds, defines", BOUNDS)
def test_the_protocol_keeps_its_promise_in_every_order(tmp_path, model, bounds, defines):
    """Rows, chunks and progress agree after every step of two owners, a lagging replica, a failover and a lost connection."""
    errors, states = check(model, tmp_path, defines)
    assert errors == 0 and states > 100_000


@pytest.mark.parametrize("model, rule", [(model, rule) for model, rules in RULES.items() for rule in rules])
def test_the_harm_of_leaving_a_rule_out_is_found(tmp_path, model, rule):
    errors, _ = check(model, tmp_path, [f"-D{rule}"])
    assert errors == 1
