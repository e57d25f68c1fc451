"""The n-th allocation, send, receive, file write or sync fails, for n = 1, 2, 3 ... until a run in which there were fewer: over
the edge and the worker, in one process. Whatever it hits, writes answered 202 are applied once, refused ones are not, and no
sanitizer has a word. The same for SIGTERM at the n-th moment, from the start to the last moment of the process."""

import itertools
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lib.checks import CHECK_ROUTE, CHECK_TABLE
from lib.harness import LEAT, Process, wait_until

NTH = LEAT.parent / "tests" / "leat-nth"
REQUESTS = 4
CALLS_MAX = 2000  # of one kind in one run
DIES_OF_IT = (-signal.SIGABRT, 1, 2)  # out of memory, or a file that cannot be relied on: it may die, losing nothing; 2: it could not read its configuration


def wait_up(process):
    """True: it is up; False: it has ended."""
    wait_until(lambda: not process.alive() or "leat is up command=run" in process.text(), "the start")
    return process.alive()


def write_some(process, app):
    """{id: status} of writes to rows of their own; 0: no answer."""
    answers = {}
    for ident in range(REQUESTS):
        try:
            with httpx.Client(base_url="http://" + process.address("edge listens"), timeout=20) as http:
                answers[ident] = http.patch(f"/apps/{app}/checks/{ident}", json={"n": 1, "list": ident}).status_code
        except (httpx.HTTPError, AssertionError):
            answers[ident] = 0
    return answers


def end(process):
    if process.alive():
        process.signal(signal.SIGTERM)
    try:
        return process.popen.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it does not end:\n{process.text()[-3000:]}") from None


def check_words(process):
    text = process.text()
    for mark in ("ERROR: AddressSanitizer", "runtime error:"):
        assert mark not in text, text[-6000:]


def run_once(world, kind, n):
    """One run with the fault. Returns its answers, and whether the call was reached."""
    process = Process([NTH, "run", "--config", world.config_path], world.directory / f"nth-{n}.log",
                      {"LEAT_FAIL": f"{kind}:{n}", "ASAN_OPTIONS": "detect_leaks=0"})
    try:
        answers = write_some(process, n) if wait_up(process) else {}
        code = end(process)
    finally:
        process.kill()
    check_words(process)
    failed = "nth: failed" in process.text()
    assert code == 0 or (failed and may_end_with(kind, code, process.text())), \
        f"{kind} {n}: exit code {code}\n{process.text()[-3000:]}"
    return answers, failed


def may_end_with(kind, code, text):
    """A signal is not a failure, unless it is the second one."""
    return code == 1 and "second signal" in text if kind == "term" else code in DIES_OF_IT


def check_rows(world, said):
    """After a run without faults: writes answered 202 are there once, refused ones are not, the rest is one or the other."""
    leat = world.start("run")
    wanted = {key for key, status in said.items() if status == 202}

    def found():
        return {(app, ident): n for app, ident, n in world.rows("select app, id, n from checks")}

    wait_until(lambda: wanted <= found().keys(), "what was acknowledged")
    assert leat.terminate() == 0
    rows = found()
    assert all(n == 1 for n in rows.values()), rows
    assert not [key for key in rows if said[key] not in (202, 504, 0)], "refused, and applied"


def run_many(world, kind, numbers):
    """Runs with each number that is next, until the call was not reached; returns that number."""
    said = {}
    for n in numbers:
        answers, failed = run_once(world, kind, n)
        said.update({(n, ident): status for ident, status in answers.items()})
        if not failed or n >= CALLS_MAX:
            break
    check_rows(world, said)
    return n


@pytest.mark.parametrize("store, kind", [
    ("sqlite", "alloc"), ("sqlite", "send"), ("sqlite", "recv"), ("sqlite", "write"), ("sqlite", "space"), ("sqlite", "sync"),
    ("sqlite", "term"), ("postgres", "term"),
    ("postgres", "alloc"), ("postgres", "send"), ("postgres", "recv"),  # has no files of its own
])
def test_any_call_may_fail(make_world, store, kind):
    """Two worlds share the numbers, because a run mostly waits for its process."""
    worlds = [make_world(log="local", store=store, shards=1, partitions=2, table_sql=CHECK_TABLE, route=CHECK_ROUTE) for _ in range(2)]
    for world in worlds:
        world.init()
    numbers = itertools.count(1)
    with ThreadPoolExecutor(len(worlds)) as lanes:
        lasts = list(lanes.map(lambda world: run_many(world, kind, numbers), worlds))
    assert 3 < min(lasts) and max(lasts) < CALLS_MAX, f"{lasts} calls of {kind}"
