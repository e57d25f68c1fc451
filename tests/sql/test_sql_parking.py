"""Parked records: each step of the protocol, its refusals, and what goes wrong without a rule (docs/design/progress.md)."""
import pytest

from leat_sql import fails_with, owner_with_batches


def owner_with_chunks(shard, *chunks):
    """A session that has claimed partition 0 and parked each (first, last) of subpartition 0, in batches 1, 2, ...; and its
    claim."""
    session = shard.session()
    claim = session.claim()
    for seq, (first, last) in enumerate(chunks, 1):
        session.park(claim, seq, first, last, needs=[seq - 1] if seq > 1 else [])
    return session, claim


# ---- the functions ----


def test_park_moves_progress_and_keeps_the_records(shard):
    """Both, or neither."""
    a, claim = owner_with_chunks(shard, (10, 19))
    a.begin()
    a.advance(claim, 2, moved={0: 29}, needs=[1])
    a.put_chunk(20, 29)
    a.rollback()
    fresh = a.claim()
    assert fresh.rows == [(1, [0], [19])]
    assert shard.chunks() == [(10, 19, 9, 10)]


def test_a_claim_reads_one_row_a_subpartition(shard):
    """Its first chunk with its mark, the last offset, and the sums; other partitions are not in it."""
    a, claim = owner_with_batches(shard, 0)
    other = a.claim(partition=1)
    a.park(other, 1, 7, 7, partition=1)
    a.park(claim, 1, 0, 9, records=4, oldest_ms=500, chunk=b"12345")
    a.park(claim, 2, 10, 30, records=6, oldest_ms=300, chunk=bytes(3000))
    a.park(claim, 3, 31, 31, oldest_ms=900)
    a.park(claim, 4, 5, 6, subpartition=63, oldest_ms=-1, chunk=b"")
    a.unpark(claim, 5, [(0, 9, -1)], done_after=3, records_after=2)
    assert a.claim().parked == [(0, 0, 3, 31, 3, 9, 3010, 300), (63, 5, 4, 6, 1, 2, 0, -1)]
    assert a.claim(partition=1).parked == [(0, 7, 6, 7, 1, 1, 5, 0)]


def test_parked_totals_in_one_statement_with_take(shard):
    """It has a snapshot of its own, after the claim's wait."""
    a, claim = owner_with_chunks(shard, (10, 19))
    a.begin()
    a.advance(claim, 2, moved={0: 29}, needs=[1])
    a.put_chunk(20, 29)
    b = shard.session()
    both = b.later(b.run, "SELECT (SELECT sum(chunks) FROM leat.parked_totals(1, 0)) FROM leat.take(1, 0, 20000)")
    shard.until_waiting(b)
    a.commit()
    assert both.result() == [(2,)]


def test_load_gives_the_lowest_chunk_above(shard):
    """With its mark and its bytes; nothing when there is none."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29))
    a.park(claim, 3, 5, 6, subpartition=7, chunk=b"\x00\xff")
    assert a.load(claim) == (10, 19, 9, 10, 1, b"chunk")
    a.unpark(claim, 4, [(10, 19, 9)], done_after=14, records_after=5)
    assert a.load(claim, above=9) == (10, 19, 14, 5, 1, b"chunk")
    assert a.load(claim, above=10)[0] == 20
    assert a.load(claim, above=20) is None
    assert a.load(claim, subpartition=7)[5] == b"\x00\xff"
    assert a.load(claim, subpartition=8) is None


def test_unpark_empties_whole_chunks_and_a_part(shard):
    """Whole chunks go away, the last one keeps its bytes and is marked."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29), (30, 39))
    a.unpark(claim, 4, [(10, 19, 9), (20, 29, 19)], done_after=25, records_after=4, needs=[3])
    assert shard.chunks() == [(20, 29, 25, 4), (30, 39, 29, 10)]
    a.unpark(claim, 5, [(20, 29, 25), (30, 39, 29)], needs=[4])
    assert shard.chunks() == [] and shard.hits() == 2
    assert a.claim().rows[3:] == [(4, [], []), (5, [], [])]


def test_a_chunk_is_kept_as_it_came(shard):
    """Its bytes are compressed already, so the server does not try it, and a mark does not write them again."""
    a, claim = owner_with_chunks(shard)
    a.park(claim, 1, 0, 9, chunk=bytes(100000))
    size = "SELECT pg_column_size(chunk), pg_relation_size(reltoastrelid) FROM leat.parked, pg_class WHERE pg_class.oid = 'leat.parked'::regclass"
    before = a.run(size)
    assert before[0][0] >= 100000
    a.unpark(claim, 2, [(0, 9, -1)], done_after=4, records_after=5)
    assert a.run(size) == before
    assert a.load(claim)[5] == bytes(100000)


@pytest.mark.parametrize("step", [(10, 19, 8), (10, 19, 10), (10, 18, 9), (11, 19, 9), (20, 29, 19), (10, 19, None)])
def test_unpark_of_another_chunk_than_was_read(shard, step):
    """LT009 unless exactly that chunk is there, in that state; and nothing of the batch is done. DETAIL is the partition."""
    a, claim = owner_with_chunks(shard, (10, 19))
    for how in ({}, {"done_after": 15, "records_after": 4}):
        with fails_with("LT009") as error:
            a.unpark(claim, 2, [step], needs=[1], **how)
        assert error.diag.message_detail == "0"
    assert shard.chunks() == [(10, 19, 9, 10)] and shard.hits() == 0 and shard.seqs() == [1]


def test_unpark_of_chunks_of_which_one_is_gone_does_nothing(shard):
    """The chunks before it stay too."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29))
    with fails_with("LT009"):
        a.unpark(claim, 3, [(10, 19, 9), (20, 29, 19), (30, 39, 29)])
    assert shard.chunks() == [(10, 19, 9, 10), (20, 29, 19, 10)]


def test_unpark_stays_in_its_subpartition(shard):
    """The same offsets in another subpartition, partition or source are another chunk."""
    a, claim = owner_with_chunks(shard, (10, 19))
    a.park(claim, 2, 10, 19, subpartition=1)
    a.unpark(claim, 3, [(10, 19, 9)], subpartition=1)
    other = a.claim(partition=1)
    with fails_with("LT009") as error:
        a.unpark(other, 1, [(10, 19, 9)], partition=1)
    assert error.diag.message_detail == "1"
    assert shard.chunks() == [(10, 19, 9, 10)]


@pytest.mark.parametrize("first", [10, 9, 0])
def test_park_below_what_is_parked(shard, first):
    """A chunk is the last of its subpartition, or the worker believes something wrong: LT009."""
    a, claim = owner_with_chunks(shard, (10, 19))
    with fails_with("LT009") as error:
        a.park(claim, 2, first, 19)
    assert error.diag.message_detail == "0"
    a.park(claim, 3, first, 19, subpartition=1)
    assert shard.chunks() == [(10, 19, 9, 10)]


@pytest.mark.parametrize("done, records", [(8, 5), (19, 5), (25, 5), (14, 0), (14, -1)])
def test_a_mark_that_makes_no_sense(shard, done, records):
    """Before the chunk, at or behind its end, or with nothing left: never stored."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29))
    with fails_with("LT009" if done == 19 else "23514"):
        a.unpark(claim, 3, [(10, 19, 9)] if done != 19 else [(10, 20, 9)], done_after=done, records_after=records)
    assert shard.chunks()[0] == (10, 19, 9, 10)


def test_a_partition_with_parked_records_is_not_deleted(shard):
    """They are nowhere else: deleting the source fails until they are gone."""
    a, claim = owner_with_chunks(shard, (10, 19))
    with fails_with("23001"):
        a.run("DELETE FROM leat.sources WHERE id = 1")
    a.unpark(claim, 2, [(10, 19, 9)], needs=[1])
    a.run("DELETE FROM leat.progress WHERE source = 1")
    a.run("DELETE FROM leat.sources WHERE id = 1")
    assert a.value("SELECT count(*) FROM leat.partitions") == 0


def test_a_worker_that_knows_no_chunks_gets_no_claim(shard):
    """LT005 from the claim of older programs, and the claim that there is stays valid."""
    a, claim = owner_with_chunks(shard, (10, 19))
    with fails_with("LT005"):
        shard.session().run("SELECT * FROM leat.claim(1, 0, 1000)")
    a.unpark(claim, 2, [(10, 19, 9)], needs=[1])


# ---- P1: the owner alone, under its token ----


def test_p1_nothing_of_chunks_under_an_old_claim(shard):
    """Park, load and unpark are fenced; nothing has changed."""
    a, stale = owner_with_chunks(shard, (10, 19))
    shard.session().claim()
    for call in (lambda: a.park(stale, 2, 20, 29), lambda: a.unpark(stale, 2, [(10, 19, 9)]), lambda: a.load(stale)):
        with fails_with("LT001") as error:
            call()
        assert error.diag.message_detail == "0"
    assert shard.chunks() == [(10, 19, 9, 10)] and shard.hits() == 0


def test_p1_claim_waits_for_a_running_unpark(shard):
    """A claim reads chunks as the last owner's batches have left them."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29))
    a.begin()
    a.advance(claim, 3, moved={}, needs=[2])
    a.empty_chunks([(10, 19, 9)])
    b = shard.session()
    claiming = b.later(b.claim)
    shard.until_waiting(b)
    a.commit()
    assert claiming.result().parked == [(0, 20, 19, 29, 1, 10, 5, 0)]


def test_p1_two_owners_after_a_failover(shard):
    """The failover loses B's claim and C claims: an unpark of B that is still on its way is refused, C's is done, once."""
    a, _ = owner_with_chunks(shard, (10, 19))
    standby = shard.save()
    b = shard.session()
    claim_b = b.claim()
    assert b.load(claim_b)[:3] == (10, 19, 9)
    shard.fail_over(standby)
    claim_c = a.claim()
    with fails_with("LT001"):
        b.unpark(claim_b, 2, [(10, 19, 9)], needs=[1])
    a.unpark(claim_c, 2, [(10, 19, 9)], needs=[1])
    assert shard.hits() == 1 and shard.chunks() == []


# ---- P2: every batch of a subpartition is needed by the next ----


def lose_unpark(shard):
    """A has emptied the first of two chunks; a failover then brings the chunk back and keeps the claim."""
    a, claim = owner_with_chunks(shard, (10, 19), (20, 29))
    standby = shard.save()
    a.unpark(claim, 3, [(10, 19, 9)], needs=[2], key=1)
    shard.fail_over(standby)
    return a, claim


@pytest.mark.parametrize("needs, noticed", [([3], True), ([2], False)])
def test_p2_the_next_unpark_needs_the_one_before(shard, needs, noticed):
    """Without that the second chunk is applied before the first, which came back."""
    a, claim = lose_unpark(shard)
    if noticed:
        with fails_with("LT002"):
            a.unpark(claim, 4, [(20, 29, 19)], needs=needs, key=2)
    else:
        a.unpark(claim, 4, [(20, 29, 19)], needs=needs, key=2)
    assert (shard.hits(1), shard.hits(2)) == (0, 0 if noticed else 1)
    assert shard.chunks()[0] == (10, 19, 9, 10)


@pytest.mark.parametrize("needs, noticed", [([2, 3], True), ([2], False)])
def test_p2_a_compaction_needs_an_unpark_too(shard, needs, noticed):
    """Without that the base passes the lost one, and no later batch can notice: 20 to 29 are applied before 10 to 19."""
    a, claim = lose_unpark(shard)
    if noticed:
        with fails_with("LT002"):
            a.compact(claim, 3, offset=29, needs=needs)
        return
    a.compact(claim, 3, offset=29, needs=needs)
    a.unpark(claim, 4, [(20, 29, 19)], needs=[3], key=2)
    assert (shard.hits(1), shard.hits(2)) == (0, 1)
    assert shard.chunks() == [(10, 19, 9, 10)]


def test_p2_rows_behind_chunks_need_the_last_unpark(shard):
    """A batch from memory that follows a lost unpark is noticed too."""
    a, claim = lose_unpark(shard)
    with fails_with("LT002"):
        a.batch(claim, 4, needs=[3], moved={0: 35})


# ---- P3: an unpark names no offset ----


@pytest.mark.parametrize("moved", [{}, {0: 29}])
def test_p3_an_unpark_does_not_bring_lost_progress_back(shard, moved):
    """A failover loses the park of 20 to 29 and the worker believes in it. An unpark that names the offset again, and not
    what it builds on, makes a claim skip records that are nowhere."""
    a, claim = owner_with_chunks(shard, (10, 19))
    standby = shard.save()
    a.park(claim, 2, 20, 29, needs=[1])
    shard.fail_over(standby)
    a.unpark(claim, 3, [(10, 19, 9)], needs=[1], moved=moved)
    fresh = a.claim()
    applied = max((offset for _, _, offsets in fresh.rows for offset in offsets))
    assert shard.chunks() == []
    assert applied == (29 if moved else 19)


# ---- P4: the whole state of a chunk is checked ----


def test_p4_a_chunk_read_before_it_was_emptied_in_part(shard):
    """The mark has moved since: applying all of it would apply 10 to 14 twice."""
    a, claim = owner_with_chunks(shard, (10, 19))
    old = a.load(claim)
    a.unpark(claim, 2, [(10, 19, 9)], done_after=14, records_after=5, needs=[1])
    with fails_with("LT009"):
        a.unpark(claim, 3, [old[:3]], needs=[2])
    a.unpark(claim, 4, [a.load(claim)[:3]], needs=[2])
    assert shard.hits() == 2


def test_p4_the_cut_of_an_old_primary(shard):
    """After a failover that lost a park the records were parked again, cut elsewhere. The old cut fits no chunk."""
    a, claim = owner_with_chunks(shard, (10, 19))
    standby = shard.save()
    a.park(claim, 2, 20, 29, needs=[1])
    old = a.load(claim, above=19)
    shard.fail_over(standby)
    fresh = a.claim()
    a.park(fresh, 2, 20, 24, needs=[1])
    with fails_with("LT009"):
        a.unpark(fresh, 3, [old[:3]], needs=[2])


# ---- its cost ----

LIVE, DEAD = 4000, 6000


@pytest.fixture
def crowded(shard):
    """LIVE chunks in 64 subpartitions, and DEAD before those of subpartition 0 that an old snapshot keeps; planned while the
    table was empty, and never analyzed."""
    a, claim = owner_with_batches(shard, 0)
    a.load(claim)
    a.run("ALTER TABLE leat.parked SET (autovacuum_enabled = false)")
    a.run("INSERT INTO leat.parked SELECT 1, 0, 0, n, n, n - 1, 1, n, 1, '\\x0102' FROM generate_series(1, %s) AS n", DEAD)
    snapshot = shard.session("psql")
    snapshot.begin()
    snapshot.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    assert snapshot.value("SELECT count(*) FROM leat.parked") == DEAD
    a.run("DELETE FROM leat.parked")
    a.run("INSERT INTO leat.parked SELECT 1, 0, n %% 64, 100000 + n, 100000 + n, 99999 + n, 1, n, 1, '\\x0102'"
          " FROM generate_series(0, %s) AS n", LIVE - 1)
    return a, claim


def pages(session, sql, *args):
    """How many pages a statement has touched."""
    (plan,), = session.run("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, *args)
    return plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]


def test_chunks_are_found_among_many_dead_ones(crowded):
    """Loads, parks and unparks touch as few pages as in a small table; a claim reads each chunk once."""
    a, claim = crowded
    load = "SELECT * FROM leat.load(1, 0, %s, 0::smallint, %s)"
    pages(a, load, claim.token, 99999)  # what the session reads of the catalog
    assert pages(a, load, claim.token, 99999) < 20
    assert pages(a, load, claim.token, -1) > 40, "the dead ones are not in the way: this proves nothing"
    park = "SELECT leat.park(1, 0, 0::smallint, %s, %s, 1, 0, 1, '\\x')"
    pages(a, park, 200000, 200000)
    assert pages(a, park, 200001, 200001) < 40
    unpark = "SELECT leat.unpark(1, 0, 0::smallint, ARRAY[%s::bigint], ARRAY[%s::bigint], ARRAY[%s::bigint], %s, 0)"
    pages(a, unpark, 100000, 100000, 99999, 100000)
    assert pages(a, unpark, 100064, 100064, 100063, 100064) < 40
    assert pages(a, "SELECT * FROM leat.parked_totals(1, 0)") < LIVE + DEAD
