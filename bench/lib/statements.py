"""Row statements that leat-ceiling runs in turn with leat's own: they take its parameters."""

import re
import statistics
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from measure import CEILING
from stage import catalog, ceiling

# What a person would write by hand: no look whether anything changes, no checks of the table.
PLAIN = """\
INSERT INTO subscriptions AS t (app_id, subscription_id, properties, last_active, session_count)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::jsonb[]), unnest($4::timestamptz[]), unnest($5::int4[])
    ON CONFLICT (app_id, subscription_id) DO UPDATE
   SET properties = excluded.properties, last_active = excluded.last_active, session_count = t.session_count + excluded.session_count"""
DIFFERS = """
 WHERE t.session_count IS DISTINCT FROM t.session_count + excluded.session_count
    OR t.last_active IS DISTINCT FROM excluded.last_active OR t.properties IS DISTINCT FROM excluded.properties"""


def own_statement(world, shard="a"):
    """leat's statement for the benchmark's writes."""
    return subprocess.run([CEILING, "--print", "--dsn", world.dsns[shard], "--catalog", catalog(world), "--batches", "2"],
                          check=True, capture_output=True, text=True).stdout.strip()


def without(statement, pattern, instead=""):
    changed, count = re.subn(pattern, instead, statement, flags=re.DOTALL)
    assert count == 1, f"leat's statement has no part {pattern}: {statement}"
    return changed


def parts(statement):
    """{what is left out: the statement without it}."""
    enter = r" WHERE \(SELECT leat\.enter\(.*?\)\)(?=\) AS s ON )"
    condition = r"WHEN MATCHED AND \(.*?\) THEN UPDATE"
    return {"no_enter": without(statement, enter), "no_condition": without(statement, condition, "WHEN MATCHED THEN UPDATE")}


@contextmanager
def files(forms):
    """Arguments for leat-ceiling. What begins as leat's own statement is a part of it, and planned as that is."""
    with tempfile.TemporaryDirectory(prefix="leat-forms-") as directory:
        for name, sql in forms.items():
            (Path(directory) / name).write_text(sql)
        yield [f"--{'part' if sql.startswith('MERGE') else 'form'}={name}={directory}/{name}" for name, sql in forms.items()]


def in_turn(world, forms, *arguments):
    """{name: {"rows_s": [...], "server_us": [...]}} of leat's own statement, `leat`, and of these."""
    with files(forms) as options:
        return ceiling(world, *options, *arguments)["forms"]


def ratio(one, other, figure):
    """The median of the ratios of neighbouring batches."""
    pairs = [(a, b) for a, b in zip(one[figure], other[figure]) if a and b]
    return statistics.median(a / b for a, b in pairs) if pairs else float("nan")
