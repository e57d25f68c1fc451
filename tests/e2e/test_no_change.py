"""Nothing for nothing: a write that changes nothing leaves no row version, no dead tuple and no WAL for its table."""

import pytest

from lib.harness import wait_until

TABLE = """
create extension pg_walinspect;
create table things (
    id int primary key, a int not null default 7, high bigint, low timestamptz, doc jsonb, price numeric(6, 2), words text[],
    raw bytea, plain json, day date, seen timestamptz) with (autovacuum_enabled = off);
"""
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"high": "max", "low": "min", "doc": "merge", "seen": {"operation": "max", "step": "60s"}}}
FULL = {"a": 5, "high": 10, "low": "2026-01-02T03:04:05Z", "doc": {"x": 1, "y": {"z": [1, 2]}}, "price": 1.5,
        "words": ["b", "a"], "raw": "AAEC", "plain": {"k": [1]}, "day": "2026-11-23", "seen": "2026-01-02T03:04:05Z"}

# A first write, and writes after it that leave the row as it is.
CASES = {
    "put": (("put", FULL), [("put", FULL), ("put", {**FULL, "price": "1.500"})]),
    "put of defaults": (("put", {}), [("put", {}), ("put", {"a": 7})]),
    "set": (("put", FULL), [("patch", {"a": 5, "words": ["b", "a"], "plain": {"k": [1]}, "raw": "AAEC"})]),
    "max and min": (("put", FULL), [("patch", {"high": 10}), ("patch", {"high": -3, "low": "2026-06-01T00:00:00Z"})]),
    "merge": (("put", FULL), [("patch", {"doc": {"x": 1}}), ("patch", {"doc": {"gone": None}}), ("patch", {"doc": {"y": {"z": [1, 2]}}}),
                              ("patch", {"doc": {}})]),
    "below a step": (("put", FULL), [("patch", {"seen": "2026-01-02T03:05:04Z"}), ("patch", {"seen": "2026-01-02T03:04:30Z", "a": 5})]),
    "empty patch": (("put", FULL), [("patch", {})]),
    "mixed": (("put", FULL), [("patch", {"high": 1}), ("patch", {"doc": {"x": 1}, "a": 5})]),
}
ROWS, TURNS = 10, 3


def send(http, writes, ids):
    for op, body in writes:
        for ident in ids:
            assert http.request(op.upper(), f"/things/{ident}", json=body).status_code == 202


def table_wal(db, since):
    """Bytes of the WAL records since then that touch a page of the table."""
    return db.execute(
        "select coalesce(sum(record_length), 0)::int from pg_get_wal_records_info(%s, pg_current_wal_flush_lsn()) as w"
        " where w.block_ref like '%%/' || pg_relation_filenode('things') || ' %%'", (since,)).fetchone()[0]


def all_visible(db):
    """Every page is marked so by a vacuum. One that finds a commit whose group of transactions is not yet flushed leaves the page
    without the mark and without hint bits, which a later look writes."""
    db.execute("vacuum things")
    return db.execute("select relpages > 0 and relallvisible = relpages from pg_class where relname = 'things'").fetchone()[0]


def counts(db):
    db.execute("select pg_stat_force_next_flush()")
    return db.execute("select n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup from pg_stat_user_tables where relname = 'things'").fetchone()


@pytest.mark.parametrize("case", CASES)
def test_a_write_that_changes_nothing_costs_the_table_nothing(make_world, case):
    first, after = CASES[case]
    world = make_world(shards=1, table_sql=TABLE, route=ROUTE)
    world.init()
    edge, apply = world.start("edge"), world.start("apply")
    with world.client(edge) as http, world.db("a") as db:
        send(http, [first], range(ROWS))
        wait_until(lambda: world.rows("select count(*) from things") == [(ROWS,)], "the rows")
        # So that no first touch of a page, no hint bit and no pruning comes from earlier writes.
        wait_until(lambda: all_visible(db), "pages that are all visible")
        wait_until(lambda: counts(db)[0] == ROWS, "the statistics of the inserts")
        # It keeps the log that is read below, whatever checkpoints other tests cause; it ends with the session.
        db.execute("select pg_create_physical_replication_slot('leat_test_' || pg_backend_pid(), true, true)")
        db.execute("checkpoint")
        before, since = counts(db), db.execute("select pg_current_wal_insert_lsn()").fetchone()[0]
        versions = db.execute("select id, xmin, ctid from things order by id").fetchall()
        for _ in range(TURNS):
            send(http, after, range(ROWS))
        total = ROWS * (1 + TURNS * len(after))
        wait_until(lambda: world.metric(apply, "leat_records_applied_total") == total, "all records")
        assert db.execute("select id, xmin, ctid from things order by id").fetchall() == versions
        assert table_wal(db, since) == 0
        assert apply.terminate() == 0  # its sessions flush their statistics
        assert counts(db) == before

        # The same look sees a write that does change something.
        world.start("apply")
        assert http.patch("/things/0", json={"a": 99}).status_code == 202
        wait_until(lambda: world.rows("select a from things where id = 0") == [(99,)], "a real change")
        assert table_wal(db, since) > 0
