"""The forms that bench/statement compares leat's row statement with: they do the same."""

import sys

import pytest

from lib.harness import ROOT

sys.path.insert(0, str(ROOT / "bench" / "lib"))

from stage import stage
from statements import DIFFERS, PLAIN, Packed, one_array, own_statement, parts, update_first

KEYS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
ROWS = f"""(ARRAY['{KEYS[0]}','{KEYS[0]}','{KEYS[0]}']::uuid[], ARRAY['{KEYS[0]}','{KEYS[1]}','{KEYS[2]}']::uuid[],
            ARRAY['{{"a": "x, (\\" y"}}','{{}}','null']::jsonb[], ARRAY['2026-01-02 03:04:05.678+00',NULL,'2026-01-02 00:00+00']::timestamptz[],
            ARRAY[3,0,7]::int4[])"""
STORED = f"""insert into subscriptions (app_id, subscription_id, properties, session_count) values
             ('{KEYS[0]}', '{KEYS[0]}', '{{}}', 4), ('{KEYS[0]}', '{KEYS[1]}', '{{}}', 5)"""  # one changes, one does not, one is not there


@pytest.fixture(scope="module")
def world():
    with stage() as world:
        yield world


def execute(db, sql, values):
    """As leat-ceiling: planned by leat.plan_rows, in one transaction."""
    db.execute("prepare form as " + sql)
    db.execute("select leat.plan_rows()")
    done = db.execute(f"execute form {values}")
    rows = done.fetchall() if done.description else []
    db.execute("deallocate form")
    return rows


def left_by(world, form):
    """The rows that a form leaves."""
    with world.db("a") as db, db.transaction(force_rollback=True):
        db.execute(STORED)
        sql, values = form, ROWS
        if isinstance(form, Packed):
            packed = execute(db, f"select ({form.parameters})::text", ROWS)[0][0]
            sql, values = form.sql, "('" + packed.replace("'", "''") + "')"
        execute(db, sql, values)
        return db.execute("select * from subscriptions order by 1, 2").fetchall()


@pytest.mark.parametrize("name", ["plain", "plain_checked", "no_enter", "no_condition", "update_first", "row_array", "text_array"])
def test_each_form_leaves_the_rows_that_leats_statement_leaves(world, name):
    """A row that changes, one that stays as it is, and one that is not there yet."""
    own = own_statement(world)
    forms = {"plain": PLAIN, "plain_checked": PLAIN + DIFFERS, **parts(own), **update_first(own), **one_array(own)}
    rows = left_by(world, own)
    assert len(rows) == 3 and [row[4] for row in rows] == [7, 5, 7]
    assert left_by(world, forms[name]) == rows
