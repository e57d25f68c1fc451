"""A `max` with a step end to end: through kills, what is stored is never above the true maximum, and less than a step below it."""

import json
import random

import pytest

from lib.harness import both, wait_until

COLUMNS = "(id int primary key, top bigint, n int not null default 0)"
TABLE = {"postgres": f"create table seen {COLUMNS}", "sqlite": f"create table seen {COLUMNS}"}
STEP = 50
ROUTE = {"path": "/seen/{id}", "table": "seen", "columns": {"top": {"operation": "max", "step": str(STEP)}, "n": "add"}}
KEYS, WRITES, KILLS = 20, 1500, 3


@both
def test_a_step_bounds_what_is_stored_through_kills(make_world):
    """1,500 PATCHes of 20 rows, most of which only say a number a little above the last; the process that applies is killed with
    -9 three times. Then each row is within its bound, and its counter is exact. An advance of one less than the step stays
    unwritten, one of a step does not."""
    world = make_world(shards=1, table_sql=TABLE, route=ROUTE)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    dice = random.Random(11)
    truth, counts = {}, dict.fromkeys(range(KEYS), 0)
    http = world.client(edge)
    for number in range(WRITES):
        if number % (WRITES // (KILLS + 1)) == WRITES // (KILLS + 1) - 1:
            apply.kill()
            apply = world.start("apply")
            http = world.client(apply if world.is_one_process else edge)
        key, body = dice.randrange(KEYS), {"top": number + dice.randrange(-20, 20)}
        if dice.random() < 0.2:
            body["n"] = 1
            counts[key] += 1
        assert http.patch(f"/seen/{key}", json=body).status_code == 202
        truth[key] = max(truth.get(key, body["top"]), body["top"])
    wait_until(lambda: dict(world.rows("select id, n from seen")) == counts, "all counters")
    stored = dict(world.rows("select id, top from seen"))
    assert all(truth[key] - STEP < stored[key] <= truth[key] for key in truth), (stored, truth)
    for key in truth:
        assert http.patch(f"/seen/{key}", json={"top": stored[key] + STEP - 1}).status_code == 202
    wait_until(lambda: json.loads(world.leat("lag", "--json").stdout)["records"] == 0, "all to be applied", every=0.5)
    assert dict(world.rows("select id, top from seen")) == stored
    assert http.patch("/seen/0", json={"top": stored[0] + STEP}).status_code == 202
    wait_until(lambda: dict(world.rows("select id, top from seen")) == {**stored, 0: stored[0] + STEP}, "a whole step")


@pytest.mark.parametrize("step, says", [
    ("0", "routes[0].columns.top.step: \"0\" is not a step"),
    ("-5", "routes[0].columns.top.step: \"-5\" is not a step"),
    ("60s", "column top: step: must be a number, without a unit"),
    ("0.5", "column top: step: 0.5 is not a whole number that bigint holds"),
])
def test_a_step_that_does_not_fit_is_refused_at_start(make_world, step, says):
    """The message names the setting or the column, and what would fit."""
    world = make_world(shards=1, table_sql=TABLE["postgres"], route={**ROUTE, "columns": {"top": {"operation": "max", "step": step}}})
    done = world.leat("init")
    if done.returncode == 0:
        done = world.leat("check")
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
