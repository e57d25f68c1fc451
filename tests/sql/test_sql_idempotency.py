"""Idempotency keys: a repeat is found in the transaction of its write, whatever happens to the transactions before it; and slots
are emptied no earlier than they may be."""
import pytest

from leat_sql import fails_with, owner_with_batches

LIFETIME = 24 * 3600 * 1000
QUARTER = LIFETIME // 4
DAY_1 = 1_700_000_000_000  # milliseconds since 1970; in the past for the server


def note(session, *keys, says=1, function="note_keys"):
    """Notes keys; each is a number, its record is that number times ten."""
    session.run(f"SELECT leat.{function}(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])", [key * 10 for key in keys],
                list(keys), [-key for key in keys], [says] * len(keys))


def batch(session, claim, seq, *keys, says=1, needs=()):
    with session.transaction():
        session.advance(claim, seq, needs=needs)
        note(session, *keys, says=says)
        session.hit()


def check(session, *keys, says=1, conflicts=()):
    """That these are still noted, for records numbered as above; those of `conflicts` by a write that says something else."""
    session.run("SELECT leat.check_repeats(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[])",
                [key * 10 for key in keys], list(keys), [-key for key in keys], [says] * len(keys), [key in conflicts for key in keys])


def batch_without(session, claim, seq, *keys, says=1, conflicts=(), needs=()):
    """A batch that leaves out the records of these keys, as repeats."""
    with session.transaction():
        session.advance(claim, seq, needs=needs)
        check(session, *keys, says=says, conflicts=conflicts)


def noted(shard):
    return [row[0] for row in shard.observer.run("SELECT a FROM leat.idempotency ORDER BY a")]


def slots(shard):
    """[(slot, opened_ms since DAY_1)], the first that was opened first."""
    return [(slot, opened - DAY_1) for slot, opened in
            shard.observer.run("SELECT slot, opened_ms FROM leat.idempotency_slots ORDER BY opened_ms")]


def rotate(session, at=None, partition=0, newest_ms=0):
    """At that time after DAY_1, by what partition 0 has applied. Twice: a call opens a slot or empties one."""
    if at is not None:
        session.run("UPDATE leat.partitions SET newest_at_ms = %s WHERE partition = %s", DAY_1 + at, partition)
    return any([session.value("SELECT early FROM leat.rotate_keys(1, %s, %s)", LIFETIME, newest_ms) for _ in range(2)])


# ---- notes ----


def test_a_repeat_is_refused_and_named(shard):
    a, claim = owner_with_batches(shard, 0)
    batch(a, claim, 1, 1, 2, 3)
    assert noted(shard) == [1, 2, 3] and shard.hits() == 1
    with fails_with("LT010") as error:
        batch(a, claim, 2, 4, 2, 5)
    assert error.diag.message_detail == "20="
    with fails_with("LT010") as error:
        batch(a, claim, 2, 1, 6, 3, says=2)
    assert sorted(error.diag.message_detail.split()) == ["10!", "30!"]
    assert noted(shard) == [1, 2, 3] and shard.hits() == 1 and shard.seqs() == [1]
    batch(a, claim, 2, 4, 5)
    assert noted(shard) == [1, 2, 3, 4, 5] and shard.hits() == 2


def test_both_halves_of_a_key_count(shard):
    a = shard.session()
    note(a, 1)
    a.run("SELECT leat.note_keys(ARRAY[0, 1]::bigint[], ARRAY[1, 2]::bigint[], ARRAY[-2, -1]::bigint[], ARRAY[1, 1]::bigint[])")
    assert a.value("SELECT count(*) FROM leat.idempotency") == 3


def test_at_most_200_repeats_are_named(shard):
    a = shard.session()
    note(a, *range(1, 1001))
    with fails_with("LT010") as error:
        note(a, *range(1, 1001))
    assert len(error.diag.message_detail.split()) == 200


def test_a_key_goes_with_its_transaction(shard):
    a, claim = owner_with_batches(shard, 0)
    a.begin()
    a.advance(claim, 1)
    note(a, 1)
    a.rollback()
    assert noted(shard) == []
    a.begin()
    a.advance(claim, 1)
    note(a, 1)
    with fails_with("22012"):
        a.run("SELECT 1 / 0")
    a.rollback()
    batch(a, claim, 1, 1)
    assert noted(shard) == [1] and shard.hits() == 1


def test_a_new_owner_waits_for_the_batch_of_the_old_one(shard):
    a, claim = owner_with_batches(shard, 0)
    b = shard.session()
    a.begin()
    a.advance(claim, 1)
    note(a, 1)
    a.hit()
    taking = b.later(b.claim)
    shard.until_waiting(b)
    a.commit()
    new = taking.result()
    with fails_with("LT010"):
        batch(b, new, 2, 1)
    assert shard.hits() == 1
    with fails_with("LT001"):  # and what the old one sends late is about nothing
        batch(a, claim, 2, 2)
    assert noted(shard) == [1]


def test_without_the_lock_of_advance_a_repeat_would_be_written(shard):
    """The harm: two transactions look for a key that neither has committed. The index stops the second, late and as an error."""
    a, b = shard.session(), shard.session()
    a.begin()
    note(a, 1)
    later = b.later(note, b, 1)
    shard.until_waiting(b)
    a.commit()
    with fails_with("23505"):
        later.result()


# ---- writes that are not in the log ----


def write_now(session, key, says=1):
    """As an edge does; any edge, at any time."""
    with session.transaction():
        session.run("SELECT leat.write_now(1, 0, 7, NULL, 0, 60000, 't', 'k', NULL)")
        note(session, key, says=says, function="note_keys_now")
        session.hit(key)


def test_of_two_requests_with_one_key_at_a_moment_the_second_is_the_repeat(shard):
    """It looks once the first is over; others, with another key, do not wait."""
    a, b = shard.session(), shard.session()
    a.begin()
    note(a, 1, function="note_keys_now")
    a.hit(1)
    write_now(shard.session(), 2)
    later = b.later(write_now, b, 1)
    shard.until_waiting(b, event="advisory")
    a.commit()
    with fails_with("LT010") as error:
        later.result()
    assert error.diag.message_detail == "10="
    with fails_with("LT010") as error:
        write_now(b, 1, says=2)
    assert error.diag.message_detail == "10!"
    assert noted(shard) == [1, 2] and shard.hits(1) == 1


def test_the_second_is_the_first_when_that_one_has_failed(shard):
    a, b = shard.session(), shard.session()
    a.begin()
    note(a, 1, function="note_keys_now")
    later = b.later(write_now, b, 1)
    shard.until_waiting(b, event="advisory")
    a.rollback()
    later.result()
    assert noted(shard) == [1] and shard.hits(1) == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_batch_and_a_request_with_one_key_at_a_moment(shard, order):
    """The edge said 504 of a record whose key has left the log, and the repeat goes into the database while the record is applied.
    Neither sees the other; the index stops the second, as a slot cannot be opened between the two. The next try knows the key."""
    a, b = shard.session(), shard.session()
    owner, claim = owner_with_batches(shard, 0)
    rotate(a, 0)

    def second(session):
        write_now(session, 1) if order > 0 else batch(session, claim, 1, 1)

    first, other = (owner, b) if order > 0 else (a, owner)
    first.begin()
    if order > 0:
        first.advance(claim, 1)
    note(first, 1, function="note_keys" if order > 0 else "note_keys_now")
    with fails_with("55P03"):
        rotate(shard.session(), newest_ms=DAY_1 + QUARTER)
    later = other.later(second, other)
    shard.until_waiting(other, event="transactionid")
    with fails_with("55P03"):
        rotate(shard.session(), newest_ms=DAY_1 + QUARTER)
    first.commit()
    with fails_with("23505") as error:
        later.result()
    assert error.diag.table_name == "idempotency_0"  # by which src/sink/sqlstate.c knows it
    rotate(a, newest_ms=DAY_1 + QUARTER)
    assert [slot for slot, _ in slots(shard)] == [0, 1]
    with fails_with("LT010"):
        second(other)
    assert noted(shard) == [1]


def test_were_a_slot_opened_between_the_two_both_would_be_written(shard):
    """The harm, by a slot that is opened without the lock: the index has nothing against the second."""
    a, b = shard.session(), shard.session()
    rotate(a, 0)
    a.begin()
    note(a, 1)
    shard.observer.run("INSERT INTO leat.idempotency_slots VALUES (1, %s)", DAY_1 + QUARTER)
    b.begin()
    note(b, 1)
    b.commit()
    a.commit()
    assert noted(shard) == [1, 1]


def test_either_way_knows_the_keys_of_the_other(shard):
    a, claim = owner_with_batches(shard, 0)
    batch(a, claim, 1, 1)
    with fails_with("LT010"):
        write_now(a, 1)
    write_now(a, 2)
    with fails_with("LT010"):
        batch(a, claim, 2, 2)
    assert noted(shard) == [1, 2]


def test_their_time_is_that_of_all(shard):
    """Without a worker, which would move it: keys are forgotten all the same, and no earlier. A worker far behind keeps its own."""
    a = shard.session()
    for n in range(6):
        rotate(a, newest_ms=DAY_1 + n * QUARTER)
        note(a, n, function="note_keys_now")
    rotate(a, newest_ms=DAY_1 + 6 * QUARTER - 1)  # the slot of 0 was open for a quarter: it counts from its end on
    assert noted(shard) == [0, 1, 2, 3, 4, 5]
    rotate(a, newest_ms=DAY_1 + 6 * QUARTER)
    assert noted(shard) == [1, 2, 3, 4, 5]
    rotate(a, QUARTER)  # a partition has come so far only
    rotate(a, newest_ms=DAY_1 + 7 * QUARTER)
    assert noted(shard) == [1, 2, 3, 4, 5]


# ---- what is left out ----


def test_what_is_known_of_a_repeat_does_not_outlive_a_failover(shard):
    """The first write of a key is lost with its batch; a batch that leaves its repeat out needs that batch, or has lost its claim."""
    a, claim = owner_with_batches(shard, 1)
    state = shard.save()
    batch(a, claim, 2, 1, needs=[1])
    with fails_with("LT010"):
        batch(a, claim, 3, 1, needs=[2])
    shard.fail_over(state)
    with fails_with("LT002"):  # sent without it
        batch_without(a, claim, 3, 1, needs=[2])
    assert shard.hits() == 1 and noted(shard) == []
    new = a.claim()
    batch(a, new, 2, 1)
    assert shard.hits() == 2


def test_nor_of_the_repeat_of_a_write_that_is_in_no_log(shard):
    """No batch needs that one, and no claim is lost with it."""
    a, claim = owner_with_batches(shard, 1)
    state = shard.save()
    write_now(shard.session(), 1)
    with fails_with("LT010"):
        batch(a, claim, 2, 1, needs=[1])
    batch_without(a, claim, 2, 1, needs=[1])
    assert shard.hits(1) == 1 and shard.seqs() == [1, 2]
    shard.fail_over(state)
    with fails_with("LT012") as error:
        batch_without(a, claim, 2, 1, needs=[1])
    assert error.diag.message_detail == "10-"
    assert shard.seqs() == [1]
    batch(a, claim, 2, 1, needs=[1])
    assert shard.hits(1) == 0 and shard.hits() == 2 and noted(shard) == [1]


def test_without_the_check_neither_of_the_two_has_an_effect(shard):
    """The harm."""
    a, claim = owner_with_batches(shard, 1)
    state = shard.save()
    write_now(shard.session(), 1)
    with fails_with("LT010"):
        batch(a, claim, 2, 1, needs=[1])
    shard.fail_over(state)
    with a.transaction():
        a.advance(claim, 2, needs=[1])
    assert shard.hits(1) == 0 and shard.hits() == 1 and noted(shard) == []


def test_each_that_is_no_repeat_is_named(shard):
    """Not noted, or noted by a write that says something else, or by one that says the same where it should not."""
    a, claim = owner_with_batches(shard, 0)
    batch(a, claim, 1, 1, 2)
    batch(a, claim, 2, 3, says=2)
    batch_without(a, claim, 3, 1, 2, 3, conflicts=[3])
    with fails_with("LT012") as error:
        batch_without(a, claim, 4, 1, 2, 3, 4, 5, conflicts=[2, 5])
    assert sorted(error.diag.message_detail.split()) == ["20-", "30-", "40-", "50-"]
    assert shard.seqs() == [1, 2, 3]
    with fails_with("LT012") as error:
        check(a, *range(11, 1001))
    assert len(error.diag.message_detail.split()) == 200


def test_repeats_within_a_batch_are_repeats(shard):
    a, claim = owner_with_batches(shard, 0)
    with a.transaction():
        a.advance(claim, 1)
        note(a, 1)
        check(a, 1, 1)
        check(a, 1, says=2, conflicts=[1])
    with fails_with("LT012"), a.transaction():
        a.advance(claim, 2)
        check(a, 2)
        note(a, 2)
    assert noted(shard) == [1] and shard.seqs() == [1]


def test_a_key_that_is_forgotten_leaves_nothing_out(shard):
    """Its record is written as any other is that comes then. Who only looks is in nobody's way."""
    a, b = shard.session(), shard.session()
    rotate(a, 0)
    note(a, 1)
    b.begin()
    check(b, 1)
    rotate(a, QUARTER)
    b.commit()
    for n in range(2, 7):
        rotate(a, n * QUARTER)
    with fails_with("LT012"):
        check(b, 1)
    note(b, 1)


def test_a_look_up_does_not_read_the_table(shard):
    a, b = shard.session(), shard.session()
    note(a, *range(1, 20001))
    a.run("ANALYZE leat.idempotency")
    with b.transaction():  # which has counted nothing yet
        note(b, *range(20001, 20101))
        read = ("SELECT sum(seq_tup_read), sum(idx_scan) FROM pg_stat_xact_user_tables WHERE relname LIKE 'idempotency%%'"
                " AND relname <> 'idempotency_slots'")
        assert b.run(read) == [(0, 800)]
        check(b, *range(1, 101))
        (tuples, scans), = b.run(read)
        assert tuples == 0 and scans <= 1600


# ---- slots ----


def test_slots_are_opened_and_emptied_by_the_time_of_what_was_applied(shard):
    a = shard.session()
    assert not rotate(a) and slots(shard) == [(0, -DAY_1)]  # nothing was ever applied
    rotate(a, 0)
    assert slots(shard) == [(0, 0)]
    note(a, 1)
    rotate(a, QUARTER - 1)
    assert slots(shard) == [(0, 0)]
    for n in range(1, 7):
        assert not rotate(a, n * QUARTER)
        note(a, 1 + n)
        assert noted(shard) == list(range(max(1, n - 4), 2 + n)), n
    assert slots(shard) == [(n, n * QUARTER) for n in range(1, 7)]
    for n in range(7, 30):
        rotate(a, n * QUARTER)
        note(a, 1 + n)
        assert noted(shard) == list(range(n - 4, 2 + n)), n


def test_a_key_lives_for_its_lifetime_in_every_slot(shard):
    """However the times of writes lie in their slots."""
    a = shard.session()
    step = QUARTER // 3
    for n in range(60):
        rotate(a, n * step)
        note(a, n + 1)
        alive = noted(shard)
        assert alive == list(range(alive[0], n + 2))
        assert alive[0] == 1 or (n + 1 - alive[0]) * step >= LIFETIME


def test_an_outage_shortens_nothing(shard):
    """A week in which nothing is applied, and then what was accepted before it."""
    a = shard.session()
    rotate(a, 0)
    note(a, 1)
    for _ in range(20):
        rotate(a)
    with fails_with("LT010"):
        note(a, 1)


def test_a_time_in_the_future_empties_nothing(shard):
    a = shard.session()
    rotate(a, 0)
    note(a, 1)
    a.run("UPDATE leat.partitions SET newest_at_ms = 1::bigint << 60")
    rotate(a)
    now = a.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    assert abs(slots(shard)[-1][1] + DAY_1 - now) < 60_000


@pytest.mark.parametrize("behind", ["a partition", "a chunk", "a held key"])
def test_what_is_behind_keeps_keys_and_not_for_ever(shard, behind):
    a, claim = owner_with_batches(shard, 0)
    rotate(a, 0)
    rotate(a, 1, partition=1)
    note(a, 1)
    rotate(a, QUARTER)
    if behind == "a chunk":
        with a.transaction():
            a.advance(claim, 1, moved={0: 9})
            a.put_chunk(5, 9, oldest_ms=DAY_1 + QUARTER)
    if behind == "a held key":
        a.run("SELECT leat.hold(1, 0, 7, 't', 'k', NULL, 'm', 3, %s, 1, 'r')", DAY_1 + QUARTER)
    early = []
    for n in range(2, 9):
        if behind == "a partition":
            rotate(a, min(n, 5) * QUARTER, partition=1)
        early.append(rotate(a, n * QUARTER))
        note(a, n)
    assert early == [False] * 6 + [True]  # the ninth slot is the first
    assert 1 not in noted(shard) and 2 in noted(shard)


def test_a_partition_without_writes_keeps_nothing_for_ever(shard):
    a = shard.session()
    rotate(a, 0, partition=1)
    rotate(a, 0)
    note(a, 1)
    for n in range(1, 9):
        assert not rotate(a, n * QUARTER)
    assert noted(shard) == []


def test_what_a_partition_has_not_come_to_yet_keeps_keys(shard):
    """After an outage one partition has caught up, and another is nearly two lifetimes behind."""
    a = shard.session()
    rotate(a, 0, partition=1)
    rotate(a, 0)
    note(a, 1)
    rotate(a, QUARTER)
    assert not rotate(a, 8 * QUARTER - 1)
    assert noted(shard) == [1]


def test_the_longest_lifetime_of_any_source_counts(shard):
    """Slots are those of all sources of the shard."""
    a = shard.session()
    other = a.value("INSERT INTO leat.sources (log_identity, topic, topic_id, layout, subpartitions, hash)"
                    " SELECT log_identity, 'other', topic_id, layout, subpartitions, hash FROM leat.sources RETURNING id")
    rotate(a, 0)
    note(a, 1)
    for n in range(1, 9):
        rotate(a, n * QUARTER // 16)
        a.run("SELECT leat.rotate_keys(%s, 60000)", other)
        a.run("SELECT leat.rotate_keys(%s, 60000)", other)
    assert noted(shard) == [1] and slots(shard) == [(0, 0)]
    a.run("SELECT leat.rotate_keys(1, 120000)")  # it is what the processes say
    rotate_sources = a.run("SELECT idempotency_ms FROM leat.sources ORDER BY id")
    assert rotate_sources == [(120000,), (60000,)] and len(slots(shard)) == 2


def test_batches_in_the_way_are_not_waited_for(shard):
    a, b = shard.session(), shard.session()
    rotate(a, 0)
    note(a, 9)
    rotate(a, QUARTER)
    b.begin()
    note(b, 1)
    with fails_with("55P03"):
        rotate(a, 6 * QUARTER)
    assert [slot for slot, _ in slots(shard)] == [0, 1]
    b.commit()
    b.begin()
    b.run("SELECT FROM leat.idempotency")  # who reads is in the way of emptying one
    with fails_with("55P03"):
        rotate(a, 6 * QUARTER)
    assert [slot for slot, _ in slots(shard)] == [0, 1, 2]  # which does not keep the next one from being opened
    b.commit()
    assert not rotate(a, 6 * QUARTER)
    assert [slot for slot, _ in slots(shard)] == [1, 2]


def test_only_one_session_rotates(shard):
    a, b = shard.session(), shard.session()
    rotate(a, 0)
    a.begin()
    rotate(a, QUARTER)
    assert not rotate(b)
    a.commit()
    assert slots(shard) == [(0, 0), (1, QUARTER)]


def test_who_empties_a_slot_again_is_in_nobodys_way(shard):
    """Whoever may call functions of the schema may do that."""
    a, b, c = shard.session(), shard.session(), shard.session()
    rotate(a, 0)
    b.begin()
    note(b, 1)
    a.run("SET statement_timeout = '10s'")
    a.run("SELECT leat.empty_slot(5::smallint)")  # nothing is in it: no lock is waited for
    shard.observer.run("INSERT INTO leat.idempotency VALUES (9, 9, 9, 5)")
    with fails_with("55P03"):
        a.run("SELECT leat.empty_slot(5::smallint)")
    c.begin()
    c.run("SELECT pg_advisory_xact_lock(1818583412, -2)")
    a.run("SELECT leat.empty_slot(5::smallint)")  # who empties them is at it already
    c.commit()
    assert noted(shard) == [9]
    b.commit()
    a.run("SELECT leat.empty_slot(5::smallint)")
    assert noted(shard) == [1]
