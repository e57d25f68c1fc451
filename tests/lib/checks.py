"""The check that every promise about records comes down to: per key, the row has what the log has, in its order, once.

Each write adds 1 to a counter and appends a number that no other write has, so a lost, doubled or displaced one shows.
"""

import json
from collections import defaultdict

CHECK_TABLE = "create table checks (app int, id int, n bigint not null default 0, list jsonb not null default '[]', primary key (app, id))"
CHECK_ROUTE = {"path": "/apps/{app}/checks/{id}", "table": "checks", "tenant": "app", "columns": {"n": "add", "list": "append"}}


def expected_from_log(world):
    """{(app, id): [numbers in the log's order]}; a key lives in one partition, so offsets order it."""
    expected = defaultdict(list)
    for _, _, key, value, _ in world.log_records():
        app, ident = key.decode().split("/")
        expected[int(app), int(ident)].append(json.loads(value)["list"])
    return expected


def compare(world, expected):
    """Per key: the list equals the log's order, the counter equals the count. Returns the differences, by kind."""
    faults = defaultdict(list)
    rows = {(app, ident): (n, numbers) for app, ident, n, numbers in world.rows("select app, id, n, list from checks")}
    for key in expected.keys() | rows.keys():
        n, numbers = rows.get(key, (0, []))
        want = expected.get(key, [])
        if numbers == want and n == len(want):
            continue
        kind = ("lost" if set(want) - set(numbers) else
                "twice" if len(numbers) != len(set(numbers)) else
                "from nowhere" if set(numbers) - set(want) else
                "out of order" if numbers != want else "counter")
        faults[kind].append((key, n, want[:20], numbers[:20]))
    return faults


def applied(world):
    """How many writes all counters have taken."""
    return sum(int(count) for count, in world.rows("select coalesce(sum(n), 0) from checks"))
