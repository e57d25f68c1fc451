"""Held keys: who adds records and who takes them away, in each order; and what goes wrong without a rule."""
import pytest

from leat_sql import fails_with, owner_with_batches

HASH = -77  # of the key that most tests hold; its row in hits is 0


def hold(session, offset, hash=HASH, partition=0):
    session.run("SELECT leat.hold(1, %s, %s, 'public.hits', 'k', '23503', 'no parent', %s, 7, 1, %s)", partition, hash, offset,
                b"r%d" % offset)


def keep(session, *offsets, hashes=None, partition=0):
    hashes = [HASH] * len(offsets) if hashes is None else hashes
    session.run("SELECT leat.keep_held(1, %s, %s::bigint[], %s::bigint[], array_fill(7::bigint, ARRAY[%s]), 1, %s::bytea[])", partition,
                hashes, list(offsets), len(offsets), [b"r%d" % offset for offset in offsets])


def begin_retry(session, last=False, hash=HASH, lock_timeout_ms=20000):
    return session.value("SELECT leat.retry(1, 0, %s, %s, %s)", hash, last, lock_timeout_ms)


def records(session, limit=1000, size=1 << 20, hash=HASH):
    return [row[0] for row in session.run("SELECT * FROM leat.held_records(1, 0, %s, %s, %s)", hash, limit, size)]


def end_retry(session, offsets, last=False, hash=HASH):
    """Whether the key is still held."""
    return session.value("SELECT leat.retried(1, 0, %s, %s::bigint[], %s)", hash, offsets, last)


def retry(session, last=False, limit=1000):
    with session.transaction():
        assert begin_retry(session, last)
        taken = records(session, limit)
        for _ in taken:
            session.hit()
        return taken, end_retry(session, taken, last)


def owner_with_held(shard, *offsets):
    """A session that has claimed partition 0 and held the key with records at these offsets, and its claim."""
    session = shard.session()
    claim = session.claim()
    with session.transaction():
        session.advance(claim, 1, moved={0: offsets[-1]})
        hold(session, offsets[0])
        keep(session, *offsets[1:])
    return session, claim


def kept(shard, hash=HASH):
    return [row[0] for row in shard.observer.run("SELECT \"offset\" FROM leat.parked_keys WHERE hash = %s ORDER BY 1", hash)]


def held(shard):
    return [row[0] for row in shard.observer.run("SELECT hash FROM leat.held ORDER BY 1")]


# ---- the functions ----


def test_a_key_is_held_with_its_records(shard):
    a, _ = owner_with_held(shard, 10, 12, 14)
    assert a.run("SELECT partition, \"table\", key, tries, sqlstate, message FROM leat.held") == [
        (0, "public.hits", b"k", 0, "23503", "no parent")]
    assert records(a) == [10, 12, 14]
    assert a.run("SELECT accepted_ms, codec, record FROM leat.held_records(1, 0, %s, 1, 1)", HASH) == [(7, 1, b"r10")]
    assert a.value("SELECT since_ms BETWEEN 0 AND 60000 FROM leat.held_keys(1, 0, 10)")


def test_a_key_of_another_partition_is_another(shard):
    a, _ = owner_with_held(shard, 10)
    with fails_with("LT007"):
        keep(a, 20, partition=1)
    hold(a, 20, partition=1)
    assert kept(shard) == [10, 20] and records(a) == [10]


def test_a_claim_reads_at_most_as_many_as_it_asks_for(shard):
    a, _ = owner_with_held(shard, 10)
    hold(a, 11, hash=5)
    hold(a, 12, hash=1 << 62)
    assert [row[0] for row in a.run("SELECT * FROM leat.held_keys(1, 0, 10)")] == [HASH, 5, 1 << 62]
    assert [row[0] for row in a.run("SELECT * FROM leat.held_keys(1, 0, 2)")] == [HASH, 5]


def test_a_retry_takes_records_by_number_and_by_size(shard):
    """Always one; then as many as fit."""
    a, _ = owner_with_held(shard, 10, 12, 14, 16)
    assert records(a, limit=2) == [10, 12]
    assert records(a, size=0) == [10] and records(a, size=3) == [10] and records(a, size=6) == [10, 12] and records(a, size=11) == [10, 12, 14]


def test_a_retry_lets_the_key_go_with_its_last_record(shard):
    a, _ = owner_with_held(shard, 10, 12, 14)
    b = shard.session("psql")
    assert retry(b, limit=1) == ([10], True)
    assert retry(b) == ([12, 14], True) and held(shard) == [HASH], "only a last step lets go"
    assert retry(b, last=True) == ([], False)
    assert held(shard) == [] and shard.hits() == 3
    with b.transaction():
        assert not begin_retry(b)


def test_a_last_step_with_records_left_does_not_let_go(shard):
    owner_with_held(shard, 10, 12, 14)
    b = shard.session("psql")
    assert retry(b, last=True, limit=2) == ([10, 12], True)
    assert kept(shard) == [14] and held(shard) == [HASH]


def test_a_refused_retry_is_noted(shard):
    a, _ = owner_with_held(shard, 10)
    for state in ("23503", None):
        a.run("SELECT leat.retry_failed(1, 0, %s, %s, 'still no parent')", HASH, state)
    assert a.run("SELECT tries, sqlstate, message, at > since FROM leat.held") == [(2, None, "still no parent", True)]


def test_the_first_refusal_of_a_held_key(shard):
    """The owner is right whenever it takes a key for not held; if it is held nevertheless, nothing is done."""
    a, claim = owner_with_held(shard, 10)
    with fails_with("LT007") as error, a.transaction():
        a.advance(claim, 2, moved={0: 12})
        hold(a, 12)
    assert error.diag.message_detail == f"0 {HASH}"
    assert kept(shard) == [10] and shard.seqs() == [1]


@pytest.mark.parametrize("hashes, named", [([5, HASH, 6], 5), ([HASH, 6, 5], 6), ([HASH, HASH, 5], 5)])
def test_records_of_keys_of_which_one_is_not_held(shard, hashes, named):
    """The first of these is named, and none is kept."""
    a, _ = owner_with_held(shard, 10)
    with fails_with("LT007") as error:
        keep(a, 12, 13, 14, hashes=hashes)
    assert error.diag.message_detail == f"0 {named}"
    assert kept(shard) == [10]


def test_records_of_several_keys_at_once(shard):
    a, _ = owner_with_held(shard, 10)
    hold(a, 11, hash=5)
    keep(a, 12, 13, 14, hashes=[HASH, 5, HASH])
    keep(a)
    assert kept(shard) == [10, 12, 14] and kept(shard, 5) == [11, 13]


def test_a_record_is_kept_once(shard):
    a, _ = owner_with_held(shard, 10, 12)
    with fails_with("23505"):
        keep(a, 12)


def test_a_partition_with_held_keys_is_not_deleted(shard):
    """Their records are nowhere else."""
    a, _ = owner_with_held(shard, 10)
    with fails_with("23001"):
        a.run("DELETE FROM leat.sources WHERE id = 1")
    with fails_with("23503"):
        a.run("DELETE FROM leat.held")
    retry(a, last=True)
    a.run("DELETE FROM leat.sources WHERE id = 1")


def test_a_key_that_stays_forgets_the_reason_of_a_record_that_is_gone(shard):
    """It was said of that record and not of the next one, which a new owner may try again."""
    a, _ = owner_with_held(shard, 10, 12, 14)
    b = shard.session("psql")
    said = "SELECT tries, sqlstate, message FROM leat.held"
    assert retry(b, limit=0) == ([], True) and b.run(said) == [(0, "23503", "no parent")], "nothing was taken"
    assert retry(b, limit=1) == ([10], True) and b.run(said) == [(0, "", "")]
    assert b.run("SELECT sqlstate FROM leat.held_keys(1, 0, 10)") == [("",)]
    b.run("SELECT leat.retry_failed(1, 0, %s, NULL, 'no column')", HASH)
    assert b.run(said) == [(1, None, "no column")]
    assert retry(b, last=True, limit=1) == ([12], True) and b.run(said) == [(1, "", "")]


def test_a_retry_outside_read_committed(shard):
    """Under a snapshot of the whole transaction it would not see what it has waited for."""
    a, _ = owner_with_held(shard, 10)
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        a.run(f"BEGIN ISOLATION LEVEL {level}")
        with fails_with("LT003"):
            begin_retry(a)
        a.rollback()


# ---- the owner beside a retry ----


def test_the_owner_adds_while_a_retry_takes(shard):
    """Neither waits, also after the retry has changed the key's row; the new record stays, and the retry lets the key go later."""
    a, claim = owner_with_held(shard, 10)
    b = shard.session("psql")
    b.begin()
    begin_retry(b)
    b.run("SELECT leat.retry_failed(1, 0, %s, '23503', 'still')", HASH)
    a.run("SET lock_timeout = 10000")
    with a.transaction():
        a.advance(claim, 2, moved={0: 12}, needs=[1])
        keep(a, 12)
    assert end_retry(b, [10])
    b.commit()
    assert kept(shard) == [12]
    assert retry(b, last=True) == ([12], False)


def test_a_last_step_waits_for_an_open_addition_and_sees_it(shard):
    a, _ = owner_with_held(shard, 10, 12)
    a.begin()
    keep(a, 14)
    b = shard.session("psql")
    last = b.later(retry, b, True)
    shard.until_waiting(b)
    a.commit()
    assert last.result() == ([10, 12, 14], False)
    assert held(shard) == []


def test_a_last_step_that_looks_before_the_lock_does_not_let_go(shard):
    """Without a new statement after the lock it misses a record. Then the key's row cannot be removed."""
    a, _ = owner_with_held(shard, 10, 12)
    a.begin()
    keep(a, 14)
    b = shard.session("psql")

    def in_one_statement():
        with b.transaction():
            seen = b.value("WITH key AS MATERIALIZED (SELECT hash FROM leat.held FOR UPDATE)"
                           " SELECT array_agg(\"offset\" ORDER BY \"offset\") FROM leat.parked_keys JOIN key USING (hash)")
            assert seen == [10, 12]
            b.run("DELETE FROM leat.parked_keys WHERE \"offset\" = ANY (%s)", seen)
            b.run("DELETE FROM leat.held")

    last = b.later(in_one_statement)
    shard.until_waiting(b)
    a.commit()
    with fails_with("23503"):
        last.result()
    assert kept(shard) == [10, 12, 14]


@pytest.mark.parametrize("ending", ["commit", "rollback", "held anew"])
def test_an_addition_beside_an_open_last_step(shard, ending):
    """It waits. Then the key is not held (LT007), or, if the step is undone, the record is kept behind the others."""
    a, claim = owner_with_held(shard, 10)
    b = shard.session("psql")
    b.begin()
    assert begin_retry(b, last=True)
    assert end_retry(b, records(b), last=True) is False
    if ending == "held anew":
        hold(b, 10)

    def add():
        with a.transaction():
            a.advance(claim, 2, moved={0: 12}, needs=[1])
            keep(a, 12)

    adding = a.later(add)
    shard.until_waiting(a)
    b.run("ROLLBACK" if ending == "rollback" else "COMMIT")
    if ending == "rollback":
        adding.result()
        assert kept(shard) == [10, 12]
        return
    with fails_with("LT007") as error:
        adding.result()
    assert error.diag.message_detail == f"0 {HASH}"
    assert shard.seqs() == [1]
    if ending == "held anew":
        add()
        assert kept(shard) == [10, 12]


def test_a_key_is_held_again_beside_an_open_last_step(shard):
    """A write of it was refused once more, after the owner has heard LT007: it waits until the old row is gone."""
    a, _ = owner_with_held(shard, 10)
    b = shard.session("psql")
    b.begin()
    begin_retry(b, last=True)
    end_retry(b, [10], last=True)
    holding = a.later(hold, a, 12)
    shard.until_waiting(a)
    b.commit()
    holding.result()
    assert kept(shard) == [12] and held(shard) == [HASH]


def test_two_retries_of_a_key_go_one_after_the_other(shard):
    owner_with_held(shard, 10, 12)
    b, c = shard.session("psql"), shard.session("psql")
    b.begin()
    begin_retry(b)
    second = c.later(retry, c, True)
    shard.until_waiting(c)
    b.hit()
    end_retry(b, [10])
    b.commit()
    assert second.result() == ([12], False)
    assert shard.hits() == 2


def test_a_second_retry_finds_the_key_gone(shard):
    owner_with_held(shard, 10)
    b, c = shard.session("psql"), shard.session("psql")
    b.begin()
    begin_retry(b, last=True)

    def second():
        with c.transaction():
            return begin_retry(c, last=True)

    late = c.later(second)
    shard.until_waiting(c)
    end_retry(b, [10], last=True)
    b.commit()
    assert late.result() is False


def test_a_retry_waits_no_longer_than_it_is_told(shard):
    owner_with_held(shard, 10)
    b, c = shard.session("psql"), shard.session("psql")
    b.begin()
    begin_retry(b)
    with fails_with("55P03"):
        begin_retry(c, lock_timeout_ms=10)


def test_the_owner_leaves_out_what_is_kept(shard):
    """For a control: in place of rows there are letters, all of it in one batch, and the key goes with the last record."""
    a, claim = owner_with_held(shard, 10, 12)
    for seq, offset, is_held in [(2, 10, True), (3, 12, False)]:
        with a.transaction():
            a.advance(claim, seq, moved={}, needs=[seq - 1])
            assert begin_retry(a, last=True)
            a.run("SELECT leat.keep_skipped(1, 0, %s, 'r', 'k', 'put', NULL, '{}', NULL, 'skipped', now(), 5, 3)", offset)
            assert end_retry(a, [offset], last=True) is is_held
    assert kept(shard) == [] and held(shard) == [] and shard.hits() == 0
    assert a.run("SELECT \"offset\", control FROM leat.dead_letters ORDER BY 1") == [(10, 5), (12, 5)]
    with fails_with("LT007"):
        keep(a, 14)


def test_a_retry_of_what_another_has_taken(shard):
    """It has read before it had the key: refused, and nothing is done twice."""
    owner_with_held(shard, 10, 12)
    b, c = shard.session("psql"), shard.session("psql")
    stale = records(b)
    retry(c, limit=1)
    with fails_with("LT007"), b.transaction():
        begin_retry(b)
        b.hit()
        end_retry(b, stale)
    assert kept(shard) == [12] and shard.hits() == 1


def test_records_behind_others_are_not_taken_away(shard):
    """An owner that has read them from a copy of the database in which the first ones were taken away."""
    _, _ = owner_with_held(shard, 10, 12, 14)
    b = shard.session()
    with fails_with("LT007"), b.transaction():
        begin_retry(b)
        end_retry(b, [12, 14])
    assert kept(shard) == [10, 12, 14]


@pytest.mark.parametrize("checks_first", [True, False])
def test_order_of_locks_in_a_batch(shard, checks_first):
    """A batch looks at held keys before it writes rows, as a retry does. The other way round it and a last step wait for each
    other, and one of them is ended."""
    a, claim = owner_with_held(shard, 10)
    b = shard.session("psql")
    b.begin()
    begin_retry(b, last=True)

    def batch():
        with a.transaction():
            a.advance(claim, 2, moved={0: 12}, needs=[1])
            if not checks_first:
                a.hit()
            keep(a, 12)
            if checks_first:
                a.hit()

    writing = a.later(batch)
    shard.until_waiting(a)

    def last_step():
        b.hit()
        end_retry(b, [10], last=True)
        b.commit()

    if checks_first:
        last_step()
        with fails_with("LT007"):  # it was let go meanwhile
            writing.result()
        assert shard.hits() == 1
        return
    broken = 0
    for call in (last_step, writing.result):
        try:
            call()
        except Exception as error:
            assert error.sqlstate == "40P01"
            broken += 1
    assert broken == 1


# ---- a failover loses a retry ----


def test_a_retry_is_not_lost_without_the_claim_that_follows_it(shard):
    """The owner learns that the key was let go, and claims. A failover that loses the retry loses that claim too: the owner's next
    batch is not written before what is kept again."""
    a, claim = owner_with_held(shard, 10, 12)
    standby = shard.save()
    retry(shard.session("psql"), last=True)
    with fails_with("LT007"), a.transaction():
        a.advance(claim, 2, moved={0: 14}, needs=[1])
        keep(a, 14)
    claim = a.claim()
    shard.fail_over(standby)
    with fails_with("LT001"), a.transaction():
        a.advance(claim, 2, moved={0: 14}, needs=[1])
        a.hit()
    assert kept(shard) == [10, 12] and shard.hits() == 0


def test_an_old_owner_adds_nothing(shard):
    """It is fenced before it reaches the keys."""
    a, stale = owner_with_held(shard, 10)
    shard.session().claim()
    with fails_with("LT001"), a.transaction():
        a.advance(stale, 2, moved={0: 12}, needs=[1])
        keep(a, 12)
    assert kept(shard) == [10]
