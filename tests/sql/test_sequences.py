"""The sequences that break a careless version of the progress protocol, one by one, on a real server.

Where the rule is the worker's to keep, a second test leaves it out and shows the harm: it proves that the first one
would notice.
"""
import psycopg
import pytest

from leat_sql import Session, fails_with, owner_with_batches

# ---- V1: never resend under the same claim ----


def test_v1_late_copy_finds_its_claim_gone(shard):
    """Bytes of batch 6 that come out of a proxy after the worker has claimed again are refused."""
    a, claim = owner_with_batches(shard, 5)
    fresh = a.claim()
    a.batch(fresh, fresh.next_seq())
    a.compact(fresh, 6, needs=[6])
    with fails_with("LT001"):
        shard.session().batch(claim, 6)
    assert shard.hits() == 6


def test_v1_resent_under_the_same_claim_is_applied_twice(shard):
    """Without a claim in between nothing in the database can recognise the late copy: the rule is needed."""
    a, claim = owner_with_batches(shard, 5)
    a.batch(claim, 6)
    a.compact(claim, 6, needs=[6])
    shard.session().batch(claim, 6, needs=[5])
    assert shard.hits() == 7


# ---- V2: claim first when an outcome is unknown ----


def test_v2_claim_waits_for_the_hanging_copy_and_reads_it(shard):
    """A claim is not granted while copy 1 hangs; once that commits, the claim reads its row: nothing to send again."""
    a, claim = owner_with_batches(shard, 5)
    copy = shard.pipe()
    copy.advance(claim, 6, needs=[5])
    assert copy.result() is None
    claiming = a.later(a.claim)
    shard.until_waiting(a)
    copy.hit()
    copy.sync()
    assert 6 in claiming.result().seqs()
    assert shard.hits() == 6


def test_v2_hanging_copy_is_ended_before_anything_is_sent_again(shard):
    """A copy that hangs for good is terminated by the claim; the rest of its bytes no longer changes anything."""
    a, claim = owner_with_batches(shard, 5)
    copy = shard.pipe()
    copy.advance(claim, 6, needs=[5])
    assert copy.result() is None
    with fails_with("55P03"):
        a.claim(lock_timeout_ms=50)
    assert a.terminate_holders() == 1
    fresh = a.claim()
    assert fresh.seqs() == [1, 2, 3, 4, 5]
    a.batch(fresh, 6)
    copy.hit()
    copy.sync()
    assert copy.result() == "57P01"
    assert shard.hits() == 6


def test_v2_pieces_under_the_same_claim_are_applied_twice(shard):
    """Without the claim: the resend gets 55P03, its pieces commit as 8, then copy 1 commits as well."""
    a, claim = owner_with_batches(shard, 5)
    copy = shard.pipe()
    copy.advance(claim, 6, needs=[5])
    assert copy.result() is None
    with fails_with("55P03"):
        a.batch(claim, 6, needs=[5], lock_timeout_ms=50)
    a.batch(claim, 8, needs=[5])
    copy.hit()
    copy.sync()
    assert [copy.result(), copy.result()] == [None, "sync"]
    assert shard.hits() == 7


# ---- V3: a random token, not the epoch ----


def test_v3_epoch_handed_out_twice_but_not_the_token(shard):
    """A failover loses B's claim and C gets the same epoch; B is fenced all the same."""
    a, _ = owner_with_batches(shard, 5)
    standby = shard.save()
    b = shard.session()
    claim_b = b.claim()
    shard.fail_over(standby)
    claim_c = a.claim()
    assert claim_b.epoch == claim_c.epoch and claim_b.token != claim_c.token
    a.batch(claim_c, 6)
    with fails_with("LT001"):
        b.batch(claim_b, 7)
    assert shard.hits() == 6


# ---- V4: compaction checks the last applied seqs ----


def lose_batch_7(shard):
    """A has applied 6 and 7; a failover then loses 7 but keeps the claim."""
    a, claim = owner_with_batches(shard, 6)
    standby = shard.save()
    a.batch(claim, 7)
    shard.fail_over(standby)
    return a, claim


def test_v4_compaction_from_memory_is_refused_after_a_failover(shard):
    """A compaction that relies on a lost batch fails with LT002 and changes nothing."""
    a, claim = lose_batch_7(shard)
    before = shard.partition()
    with fails_with("LT002") as error:
        a.compact(claim, 7, needs=[6, 7])
    assert error.diag.message_detail == "0"
    assert shard.partition() == before
    assert shard.seqs() == [1, 2, 3, 4, 5, 6]


def test_v4_without_the_check_records_are_lost(shard):
    """A compaction that names no needs goes through, and by the base batch 7 is applied."""
    a, claim = lose_batch_7(shard)
    a.compact(claim, 7)
    assert a.claim().base_offsets[0] == 7
    assert shard.hits() == 6


# ---- V5: base_seq stays below every open seq ----


@pytest.mark.parametrize("base_seq, noticed", [(5, True), (7, False)])
def test_v5_base_below_every_open_seq(shard, base_seq, noticed):
    """7 is acknowledged, 6 open. With base 5 the loss of 6 is noticed later; with base 7 it could not be."""
    a, claim = owner_with_batches(shard, 5)
    b = shard.session()
    b.begin()
    b.advance(claim, 6, moved={1: 60})
    a.batch(claim, 7, needs=[5])
    a.compact(claim, base_seq, needs=[5, 7])
    standby = shard.save()
    b.commit()
    shard.fail_over(standby)
    if noticed:
        with fails_with("LT002"):
            a.batch(claim, 8, needs=[6])
    else:
        a.batch(claim, 8, needs=[6])


# ---- V6: numbering from greatest(base_seq, max(seq)) ----


def test_v6_numbers_go_on_after_compaction_emptied_the_table(shard):
    """With no row left the claim still knows where the numbers are."""
    a, claim = owner_with_batches(shard, 7)
    a.compact(claim, 7, needs=[7])
    fresh = a.claim()
    assert fresh.rows == []
    assert fresh.next_seq() == 8


# ---- V7: base_seq < new, and the lock in compaction ----


def test_v7_late_older_compaction_does_nothing(shard):
    """A compaction to 3 that arrives after one to 5 leaves base, offsets and rows alone."""
    a, claim = owner_with_batches(shard, 6)
    a.compact(claim, 5, offset=50, needs=[6], low=50)
    before = shard.partition()
    shard.session().compact(claim, 3, offset=30, needs=[3], low=30)
    assert shard.partition() == before
    assert shard.seqs() == [6]


def test_v7_older_compaction_that_waited_does_nothing(shard):
    """The same when both run at once: the older waits for the newer's row and then looks again."""
    a, claim = owner_with_batches(shard, 6)
    a.begin()
    a.compact(claim, 5, offset=50, needs=[6])
    b = shard.session()
    older = b.later(b.compact, claim, 3, offset=30, needs=[3])
    shard.until_waiting(b)
    a.commit()
    older.result()
    assert shard.partition()[2:4] == (5, 50)
    assert shard.seqs() == [6]


def test_v7_newer_compaction_that_waited_wins(shard):
    """And the other way round."""
    a, claim = owner_with_batches(shard, 6)
    a.begin()
    a.compact(claim, 3, offset=30, needs=[6])
    b = shard.session()
    newer = b.later(b.compact, claim, 5, offset=50, needs=[6])
    shard.until_waiting(b)
    a.commit()
    newer.result()
    assert shard.partition()[2:4] == (5, 50)
    assert shard.seqs() == [6]


def test_v7_claim_waits_for_a_compaction(shard):
    """A claim reads base and rows from one side of a compaction, never from its middle."""
    a, claim = owner_with_batches(shard, 6)
    a.begin()
    a.compact(claim, 5, needs=[6])
    b = shard.session()
    claiming = b.later(b.claim)
    shard.until_waiting(b)
    a.commit()
    fresh = claiming.result()
    assert (fresh.base_seq, fresh.seqs()) == (5, [6])


def test_v7_compaction_under_an_old_claim_is_fenced(shard):
    """A compaction that waited for a claim finds its own replaced."""
    a, claim = owner_with_batches(shard, 6)
    b = shard.session()
    b.begin()
    b.run("SELECT leat.take(1, 0, 1000)")
    compacting = a.later(a.compact, claim, 6, needs=[6])
    shard.until_waiting(a)
    b.commit()
    with fails_with("LT001") as error:
        compacting.result()
    assert error.diag.message_detail == "0"
    assert shard.seqs() == [1, 2, 3, 4, 5, 6]


# ---- V8: needs are kept when base_seq has passed them ----


@pytest.mark.parametrize("needs, noticed", [([6], True), ([], False)])
def test_v8_needs_kept_behind_the_base(shard, needs, noticed):
    """A failover loses a compaction and the batch under it: only needs that were kept notice."""
    a, claim = owner_with_batches(shard, 5)
    standby = shard.save()
    a.batch(claim, 6)
    a.compact(claim, 6, needs=[6])
    shard.fail_over(standby)
    if noticed:
        with fails_with("LT002"):
            a.batch(claim, 7, needs=needs)
        assert shard.hits() == 5
    else:
        a.batch(claim, 7, needs=needs)


# ---- V9: FATAL is not a failure ----


def test_v9_terminated_while_waiting_for_a_standby_has_committed(unreplicated):
    """The connection is lost while COMMIT waits for a synchronous standby, yet the batch is there: it is unknown to
    the worker until a claim has read it."""
    shard, plain_dsn = unreplicated
    a, claim = owner_with_batches(shard, 5)
    b = Session(plain_dsn)
    committing = b.later(b.batch, claim, 6)
    shard.until_waiting(b, "IPC", "SyncRep")
    shard.observer.run("SELECT pg_terminate_backend(%s)", b.pid)
    with pytest.raises(psycopg.OperationalError):
        committing.result()
    assert 6 in a.claim().seqs()
    assert shard.hits() == 6


# ---- L1: base_seq and needs in one statement ----


def test_l1_compaction_beside_the_check_is_no_lost_batch(shard):
    """A compaction that takes the predecessor away while advance is under way is not a reason for LT002."""
    a, claim = owner_with_batches(shard, 6)
    blocker = shard.session()
    blocker.begin()
    blocker.advance(claim, 7)
    b = shard.session()
    advancing = b.later(b.batch, claim, 7, needs=[6])
    shard.until_waiting(b)  # its insert waits for the other 7; the check comes after
    a.compact(claim, 6, needs=[6])
    blocker.rollback()
    advancing.result()
    assert shard.hits() == 7
    assert shard.seqs() == [7]


# ---- L2: a half-received pipeline ----


def test_l2_no_timeout_ends_a_half_received_pipeline(shard):
    """A pipeline without its Sync keeps its lock as active/ClientRead whatever the timeouts; the claim's 55P03 and
    terminate_holders end it, and nothing of it is applied."""
    a, claim = owner_with_batches(shard, 5)
    frozen = shard.pipe()
    frozen.send("SELECT set_config('statement_timeout', '100ms', false),"
                " set_config('idle_in_transaction_session_timeout', '100ms', false)")
    frozen.sync()
    assert [frozen.result(), frozen.result()] == [None, "sync"]
    frozen.advance(claim, 6)
    frozen.hit()
    assert [frozen.result(), frozen.result()] == [None, None]
    shard.until_waiting(frozen, "Client", "ClientRead")
    with fails_with("55P03"):
        a.claim(lock_timeout_ms=200)
    shard.until_waiting(frozen, "Client", "ClientRead")
    assert a.terminate_holders() == 1
    assert a.claim().seqs() == [1, 2, 3, 4, 5]
    assert shard.hits() == 5


def test_l2_terminate_holders_leaves_others_alone(shard):
    """Only sessions that hold this partition's lock and call themselves leat are ended."""
    a, claim = owner_with_batches(shard, 5)
    other = shard.session().claim(partition=1)
    foreign, neighbour, unlocked = shard.session("psql"), shard.session(), shard.session()
    foreign.begin()
    foreign.advance(claim, 6)
    neighbour.begin()
    neighbour.advance(other, 1, partition=1)
    unlocked.begin()
    unlocked.run("SELECT pg_advisory_xact_lock_shared(1, 0)")
    assert a.terminate_holders() == 0
    a.begin()
    a.advance(claim, 7)
    assert a.terminate_holders() == 0  # not itself
    a.rollback()
    for session in (foreign, neighbour, unlocked):
        session.commit()


def test_l2_terminate_holders_ends_a_frozen_claim(shard):
    """A claim that never commits is a holder like any other."""
    frozen = shard.session()
    frozen.begin()
    before = shard.partition()
    frozen.run("SELECT leat.take(1, 0, 1000)")
    a = shard.session()
    with fails_with("55P03"):
        a.claim(lock_timeout_ms=50)
    assert a.terminate_holders() == 1
    shard.until_gone(frozen)
    assert shard.partition() == before
    a.claim()


# ---- L3: LT001 of an older own claim ----


def test_l3_lt001_of_an_older_own_claim_says_nothing_of_the_newer(shard):
    """A worker that claimed again gets LT001 for jobs sent before, while its new claim is valid."""
    a, claim = owner_with_batches(shard, 5)
    fresh = a.claim()
    late = shard.session()
    with fails_with("LT001"):
        late.batch(claim, 6)
    a.batch(fresh, 6)
    with fails_with("LT001"):
        late.batch(claim, 7)
    a.batch(fresh, 7, needs=[6])
    assert shard.hits() == 7


# ---- iso: READ COMMITTED only ----


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("call", ["advance", "claim", "compact"])
def test_iso_other_levels_are_refused(shard, level, call):
    """Each function refuses a transaction whose snapshot would be older than its lock, also when it is the default."""
    a, claim = owner_with_batches(shard, 1)
    a.run(f"SET default_transaction_isolation = '{level}'")
    before = shard.partition()
    with fails_with("LT003"):
        {"advance": lambda: a.batch(claim, 2), "claim": a.claim,
         "compact": lambda: a.compact(claim, 1, needs=[1])}[call]()
    assert shard.partition() == before
    assert shard.seqs() == [1]


def test_iso_advance_that_waited_reads_the_new_claim(shard):
    """In READ COMMITTED an advance that waited for a claim sees it, although its transaction began before."""
    a, claim = owner_with_batches(shard, 5)
    b = shard.session()
    b.begin()
    b.run("SELECT leat.take(1, 0, 1000)")
    a.begin()
    a.run("SELECT count(*) FROM leat.partitions")
    advancing = a.later(a.advance, claim, 6)
    shard.until_waiting(a)
    b.commit()
    with fails_with("LT001"):
        advancing.result()
    a.rollback()


# ---- what must hold beside ----


def test_held_seq_reused_by_the_next_owner(shard):
    """The next owner uses seq 6 again while an old backend still tries its own 6: the old one is fenced at once, even
    while the new 6 is not committed."""
    a, claim = owner_with_batches(shard, 5)
    b = shard.session()
    fresh = b.claim()
    assert fresh.next_seq() == 6
    b.begin()
    b.advance(fresh, 6)
    b.hit()
    with fails_with("LT001"):
        a.batch(claim, 6, lock_timeout_ms=50)
    b.commit()
    assert shard.hits() == 6


def test_held_7_commits_before_6(shard):
    """Batches of one partition commit in any order; a claim then reads both."""
    a, claim = owner_with_batches(shard, 5)
    b = shard.session()
    b.begin()
    b.advance(claim, 6, moved={1: 60})
    a.batch(claim, 7, moved={2: 70})
    assert shard.seqs() == [1, 2, 3, 4, 5, 7]
    b.commit()
    assert a.claim().rows[-2:] == [(6, [1], [60]), (7, [2], [70])]


def test_held_needs_of_one_claim_survive_as_a_prefix(shard):
    """After a failover some last commits are gone: whatever needs one of them is refused, what needs earlier ones only
    goes on."""
    a, claim = owner_with_batches(shard, 5)
    standby = shard.save()
    a.batch(claim, 6, moved={1: 6})
    a.batch(claim, 7, moved={2: 7})
    shard.fail_over(standby)
    for needs in ([6], [7], [5, 7], [6, 7]):
        with fails_with("LT002"):
            a.batch(claim, 8, needs=needs)
    a.batch(claim, 8, needs=[4, 5])


def test_held_unused_seqs_are_passed_by_the_base(shard):
    """Seq 6 failed and is never used: compaction passes it, and later batches do not miss it."""
    a, claim = owner_with_batches(shard, 5)
    with fails_with("23505"), a.transaction():
        a.advance(claim, 6, needs=[5])
        a.run("INSERT INTO hits VALUES (0, 0)")
    a.batch(claim, 7, needs=[5])
    a.compact(claim, 7, needs=[7])
    a.batch(claim, 8, needs=[7])
    assert shard.hits() == 7


def test_held_compaction_runs_beside_batches(shard):
    """Neither waits for the other: an open batch, a compaction, another batch."""
    a, claim = owner_with_batches(shard, 5)
    b, c = shard.session(), shard.session()
    b.begin()
    b.advance(claim, 6, needs=[5])
    c.begin()
    c.compact(claim, 5, needs=[5])
    a.batch(claim, 7, needs=[5], key=1)
    c.commit()
    b.commit()
    assert shard.seqs() == [6, 7]


def test_held_zombie_let_back_in_after_its_successors_claim_was_lost(shard):
    """A failover loses B's claim and all B did: A's claim holds again, on the very state A left."""
    a, claim = owner_with_batches(shard, 5)
    standby = shard.save()
    b = shard.session()
    fresh = b.claim()
    b.batch(fresh, 6)
    shard.fail_over(standby)
    a.batch(claim, 6, needs=[5])
    with fails_with("LT001"):
        b.batch(fresh, 7, needs=[6])
    assert shard.hits() == 6


def test_held_client_that_dies_after_its_sync_commits_later(shard):
    """The Sync is on its way, the client is gone, the batch waits for a row: it commits when it gets it. Until then a
    claim waits."""
    a, claim = owner_with_batches(shard, 5)
    holder = shard.session("psql")
    holder.begin()
    holder.hit()
    dying = shard.pipe(answers=False)
    dying.advance(claim, 6)
    dying.hit()
    dying.sync()
    shard.until_waiting(dying)
    dying.close()
    claiming = a.later(a.claim)
    shard.until_waiting(a)
    holder.rollback()
    assert 6 in claiming.result().seqs()
    assert shard.hits() == 6


def test_held_client_that_dies_before_its_sync_is_rolled_back(shard):
    """Without the Sync nothing is applied, and the claim need not wait."""
    a, claim = owner_with_batches(shard, 5)
    dying = shard.pipe()
    dying.advance(claim, 6)
    dying.hit()
    assert [dying.result(), dying.result()] == [None, None]
    dying.close()
    assert a.claim().seqs() == [1, 2, 3, 4, 5]
    assert shard.hits() == 5


def test_held_termination_before_the_sync_rolls_back(shard):
    """The same when the server ends the session."""
    a, claim = owner_with_batches(shard, 5)
    frozen = shard.pipe()
    frozen.advance(claim, 6)
    frozen.hit()
    assert [frozen.result(), frozen.result()] == [None, None]
    assert a.terminate_holders() == 1
    shard.until_gone(frozen)
    assert shard.hits() == 5
    assert shard.seqs() == [1, 2, 3, 4, 5]


def test_held_two_partitions_crosswise_with_claims_queued(shard):
    """Two batches hold 0 and 1; claims queue for both; each batch goes on to its next partition in ascending order.
    Nobody waits in a circle: the batch behind a queued claim goes on once that has had its turn."""
    a = shard.session()
    claims = {p: a.claim(partition=p) for p in (0, 1)}
    low, high, claim_0, claim_1 = (shard.session() for _ in range(4))
    low.begin()
    low.advance(claims[0], 1, partition=0)
    high.begin()
    high.advance(claims[1], 1, partition=1)
    waiting_0 = claim_0.later(claim_0.claim, partition=0)
    waiting_1 = claim_1.later(claim_1.claim, partition=1)
    shard.until_waiting(claim_0)
    shard.until_waiting(claim_1)
    crossing = low.later(low.advance, claims[1], 2, partition=1)
    shard.until_waiting(low)
    high.commit()
    assert waiting_1.result().seqs() == [1]
    with fails_with("LT001") as error:
        crossing.result()
    assert error.diag.message_detail == "1"
    low.rollback()
    assert waiting_0.result().seqs() == []


def test_held_settings_last_until_the_sync(shard):
    """Settings of advance last for the rest of the pipeline and end with its Sync: nothing leaks through a pool."""
    _, claim = owner_with_batches(shard, 0)
    pipe = shard.pipe()
    names = ("lock_timeout", "plan_cache_mode", "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit", "row_security")

    def values():
        pipe.send("SELECT " + " || ' ' || ".join(f"current_setting('{name}')" for name in names))
        result = pipe.pgconn.get_result()
        assert pipe.pgconn.get_result() is None
        return result.get_value(0, 0).decode()

    before = values()
    pipe.advance(claim, 1, lock_timeout_ms=1234)
    assert pipe.result() is None
    assert values() == "1234ms force_generic_plan off off off off off"
    pipe.sync()
    assert pipe.result() == "sync"
    assert values() == before


def test_held_rollback_to_a_savepoint_drops_the_lock(shard):
    """Why advance must never run under a savepoint: rolling back to it gives up the lock, not the transaction."""
    a, claim = owner_with_batches(shard, 5)
    a.begin()
    a.run("SAVEPOINT s")
    a.advance(claim, 6)
    a.run("ROLLBACK TO SAVEPOINT s")
    assert shard.session().claim(lock_timeout_ms=1000).seqs() == [1, 2, 3, 4, 5]
    a.rollback()
