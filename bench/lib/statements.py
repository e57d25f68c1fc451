"""Row statements that leat-ceiling runs in turn with leat's own: they take its parameters, or what a query makes of them."""

import re
import statistics
import subprocess
import tempfile
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

from measure import CEILING
from stage import catalog, ceiling, of_its_build

# What a person would write by hand: no look whether anything changes, no checks of the table.
PLAIN = """\
INSERT INTO subscriptions AS t (app_id, subscription_id, properties, last_active, session_count)
SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::jsonb[]), unnest($4::timestamptz[]), unnest($5::int4[])
    ON CONFLICT (app_id, subscription_id) DO UPDATE
   SET properties = excluded.properties, last_active = excluded.last_active, session_count = t.session_count + excluded.session_count"""
DIFFERS = """
 WHERE t.session_count IS DISTINCT FROM t.session_count + excluded.session_count
    OR t.last_active IS DISTINCT FROM excluded.last_active OR t.properties IS DISTINCT FROM excluded.properties"""


# `parameters`: a query that leat-ceiling runs beforehand, of leat's parameters; its row becomes those of `sql`.
Packed = namedtuple("Packed", "sql parameters")
TABLE = "subscriptions"
COLUMNS = {"k0": "app_id", "k1": "subscription_id", "c2": "properties", "c3": "last_active", "c4": "session_count"}
ROW = f"(k0, k1, c2, c3, c4, NULL)::{TABLE}"  # all columns of the table


def own_statement(world, shard="a"):
    """leat's statement for the benchmark's writes."""
    return subprocess.run([of_its_build(world, CEILING), "--print", "--dsn", world.dsns[shard], "--catalog", catalog(world), "--batches", "2"],
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


def update_first(statement):
    """{the form: the statement taken apart}: rows that are there are updated, then the others are inserted."""
    merge = re.fullmatch(r"MERGE INTO (?P<table>\S+) AS t USING (?P<rows>\(.*?\)) AS s ON (?P<match>.*?) WHEN MATCHED AND (?P<differs>.*?) "
                         r"THEN UPDATE (?P<set>SET .*?) WHEN NOT MATCHED THEN INSERT (?P<columns>\(.*?\)) VALUES \((?P<values>.*)\)",
                         statement, re.DOTALL)
    assert merge, f"leat's statement is another: {statement}"
    return {"update_first": """\
WITH s AS MATERIALIZED {rows},
     u AS (UPDATE {table} AS t {set} FROM s WHERE {match} AND {differs})
INSERT INTO {table} {columns} SELECT {values} FROM s WHERE NOT EXISTS (SELECT FROM {table} AS t WHERE {match})""".format(**merge.groupdict())}


def one_array(statement):
    """{the form: the statement with its rows in one array}: of the table's own row type, or of texts that are cast to it."""
    arrays = re.search(r"SELECT unnest\(\$1::.*? AS c4(?= WHERE )", statement, re.DOTALL)
    assert arrays, f"leat's statement has no arrays: {statement}"
    columns = ", ".join(f"(r).{column} AS {name}" for name, column in COLUMNS.items())

    def form(array, element, cast=""):
        rows = f"SELECT {columns} FROM (SELECT unnest($1::{array}){cast} AS r) AS a"
        return Packed(statement.replace(arrays.group(), rows), f"SELECT array_agg({element}) FROM ({arrays.group()}) AS s")

    return {"row_array": form(f"{TABLE}[]", ROW), "text_array": form("text[]", f"{ROW}::text", f"::{TABLE}")}


@contextmanager
def files(forms):
    """Arguments for leat-ceiling. Only an INSERT was written without leat's own statement; the others are planned as that is."""
    with tempfile.TemporaryDirectory(prefix="leat-forms-") as directory:
        arguments = []

        def add(option, name, sql):
            path = Path(directory) / f"{name}.{option}"
            path.write_text(sql)
            arguments.append(f"--{option}={name}={path}")

        for name, form in forms.items():
            sql, parameters = form if isinstance(form, Packed) else (form, "")
            add("form" if sql.startswith("INSERT") else "part", name, sql)
            if parameters:
                add("parameters", name, parameters)
        yield arguments


def in_turn(world, forms, *arguments):
    """{name: {"rows_s": [...], "server_us": [...]}} of leat's own statement, `leat`, and of these."""
    with files(forms) as options:
        return ceiling(world, *options, *arguments)["forms"]


def ratio(one, other, figure):
    """The median of the ratios of neighbouring batches."""
    pairs = [(a, b) for a, b in zip(one[figure], other[figure]) if a and b]
    return statistics.median(a / b for a, b in pairs) if pairs else float("nan")
