"""Runs a benchmark as its users do, in tiny sizes."""

import os
import signal
import subprocess

from lib.harness import ROOT


def run(name, *arguments, timeout=240, **environment):
    """Its CompletedProcess, with the programs that it takes by itself. If it hangs it is interrupted, so that it lets go of what
    it has stopped."""
    env = {key: value for key, value in os.environ.items() if key not in ("LEAT_BIN", "LEAT_LOAD_BIN")}
    bench = subprocess.Popen([ROOT / "bench" / name, "--smoke", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={**env, **environment})
    try:
        out, err = bench.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=60)
    return subprocess.CompletedProcess(bench.args, bench.returncode, out, err)


def versus_figures(*peers):
    """Those of bench/versus with these peers."""
    return [f"{load}_{who}_{figure}{ratio}" for load in ("uniform", "zipf", "hot") for who in ("leat", *peers)
            for figure in ("records_s", "own_cpu_us", "postgres_cpu_us", "broker_cpu_us", "pss_mib")
            for ratio in (("",) if who == "leat" else ("", "_of_leat"))]
