"""Each function of schema leat by itself, and several at once."""
import pytest

import leat_sql
from leat_sql import fails_with, owner_with_batches


def test_schema_loads_again(shard):
    """schema.sql may run any number of times and keeps what is there."""
    a, claim = owner_with_batches(shard, 3)
    a.run(leat_sql.SCHEMA.read_text())
    a.batch(claim, 4, needs=[3])
    assert shard.seqs() == [1, 2, 3, 4]


def test_older_schema_is_brought_up_to_date(shard):
    """A schema of version 1 becomes one of this version and keeps its dead letters; a batch can store more."""
    a = shard.session()
    a.run("UPDATE leat.schema_version SET version = 1")
    a.run("DROP INDEX leat.dead_letters_at")
    a.run("DROP TABLE leat.workers, leat.parked, leat.controls, leat.parked_keys, leat.held, leat.tenants")
    a.run("DROP TRIGGER note_removed ON leat.dead_letters; DROP TRIGGER note_truncated ON leat.dead_letters;"
          " DROP TABLE leat.removed_letters, leat.ended_controls; ALTER TABLE leat.dead_letters DROP COLUMN control")
    a.run("GRANT SELECT, DELETE ON leat.progress TO PUBLIC")
    letter = ("INSERT INTO leat.dead_letters (source, partition, \"offset\", message, accepted_at)"
              " VALUES (1, 0, {}, 'no sense', now())")
    a.run(letter.format(7))
    a.run(leat_sql.SCHEMA.read_text())
    a.run(letter.format(8))
    assert a.value("SELECT version FROM leat.schema_version") == 9
    assert a.value("SELECT count(*) FROM leat.dead_letters") == 2
    assert a.value("SELECT to_regclass('leat.dead_letters_at') IS NOT NULL")
    assert a.run("SELECT oid::regclass::text, string_agg(privilege_type, ' ' ORDER BY privilege_type) FROM pg_class, aclexplode(relacl)"
                 " WHERE oid IN ('leat.workers'::regclass, 'leat.parked'::regclass, 'leat.controls'::regclass,"
                 " 'leat.held'::regclass, 'leat.parked_keys'::regclass, 'leat.removed_letters'::regclass, 'leat.tenants'::regclass,"
                 " 'leat.ended_controls'::regclass) AND grantee = 0"
                 " GROUP BY oid ORDER BY 1"
                 ) == [(f"leat.{table}", "DELETE SELECT") for table in ("controls", "ended_controls", "held", "parked", "parked_keys", "removed_letters", "tenants", "workers")]
    assert a.value("SELECT to_regclass('leat.dead_letters_control') IS NOT NULL")


def test_deleted_dead_letters_are_noted(shard):
    """However they are deleted, by whomever; but not those that a control's newer ones replace."""
    a, _ = owner_with_batches(shard, 1)
    for offset, control in ((1, "NULL"), (2, "NULL"), (3, "NULL"), (4, "9")):
        a.run("INSERT INTO leat.dead_letters (source, partition, \"offset\", message, accepted_at, control)"
              f" VALUES (1, 0, {offset}, 'no', now(), {control})")
    noted = "SELECT \"offset\", by_role = session_user FROM leat.removed_letters ORDER BY 1"
    assert a.run(noted) == []
    a.run("DELETE FROM leat.dead_letters WHERE \"offset\" IN (1, 4)")
    assert a.run(noted) == [(1, True)]
    a.run("TRUNCATE leat.dead_letters")
    assert a.run(noted) == [(1, True), (2, True), (3, True)]
    a.run("INSERT INTO leat.dead_letters (source, partition, \"offset\", message, accepted_at) VALUES (1, 0, 1, 'no', now())")
    a.run("DELETE FROM leat.dead_letters")
    assert len(a.run(noted)) == 3


def test_version_2_keeps_its_progress(shard):
    """A schema of version 2, which knew the record at the low water, keeps its partitions and rows: that record is the
    newest now, unless its timestamp was not known; its functions make room for those of this version."""
    a, _ = owner_with_batches(shard, 2)
    a.run("ALTER TABLE leat.partitions DROP COLUMN newest, DROP COLUMN newest_at_ms, DROP COLUMN newest_epoch,"
          " ADD COLUMN low_at_ms bigint NOT NULL DEFAULT 0")
    a.run("ALTER TABLE leat.progress DROP COLUMN newest_at_ms, DROP COLUMN newest_epoch")
    a.run("UPDATE leat.partitions SET low = 7, low_at_ms = 1234 WHERE partition = 0")
    a.run("UPDATE leat.schema_version SET version = 2")
    a.run("DROP FUNCTION leat.take(int, int, int), leat.claim(int, int, int)")
    a.run("CREATE FUNCTION leat.claim(p_source int, p_partition int, p_lock_timeout_ms int) RETURNS TABLE (claim uuid)"
          " LANGUAGE sql AS 'SELECT gen_random_uuid()'")
    a.run("CREATE FUNCTION leat.advance(int, int, uuid, bigint, smallint[], bigint[], bigint[], int) RETURNS void"
          " LANGUAGE sql AS ''")
    for _ in range(2):
        a.run(leat_sql.SCHEMA.read_text())
    claim = a.claim()
    assert (claim.low, claim.newest, claim.seqs()) == (7, [7, 1234, -1], [1, 2])
    assert a.claim(partition=1).newest == [-1, 0, -1]
    assert a.value("SELECT count(*) FROM pg_proc WHERE pronamespace = 'leat'::regnamespace AND proname = 'advance'") == 1


def test_version_8_keeps_its_idempotency_keys(shard):
    """A schema of version 8 has only the check of repeats to get. A worker of that time goes on as before, beside new ones."""
    a, claim = owner_with_batches(shard, 1)
    a.run("DROP FUNCTION leat.check_repeats; UPDATE leat.schema_version SET version = 8")
    note = "SELECT leat.note_keys(ARRAY[0]::bigint[], ARRAY[{0}]::bigint[], ARRAY[7]::bigint[], ARRAY[1]::bigint[])"
    a.run(note.format(5))
    a.run(leat_sql.SCHEMA.read_text())
    assert a.value("SELECT version FROM leat.schema_version") == 9
    with a.transaction():
        a.advance(claim, 2, needs=[1])
        a.run(note.format(6))
        a.hit()
    with fails_with("LT010"):
        a.run(note.format(5))
    for key in (5, 6):
        a.run(f"SELECT leat.check_repeats(ARRAY[0]::bigint[], ARRAY[{key}]::bigint[], ARRAY[7]::bigint[], ARRAY[1]::bigint[],"
              " ARRAY[false])")


def test_newer_schema_is_left_alone(shard):
    """schema.sql refuses a schema of a later version and changes nothing of it."""
    a = shard.session()
    a.run("UPDATE leat.schema_version SET version = 99")
    a.run("DROP FUNCTION leat.rows(int, int)")
    with fails_with("LT005"):
        a.run(leat_sql.SCHEMA.read_text())
    assert a.value("SELECT version FROM leat.schema_version") == 99
    assert a.value("SELECT to_regprocedure('leat.rows(int, int)') IS NULL")


def test_two_inits_at_once(shard):
    """Of two that make the schema at the same time one waits for the other, and both succeed."""
    a, b = shard.session(), shard.session()
    a.run("DROP SCHEMA leat CASCADE")
    a.begin()
    a.run(leat_sql.SCHEMA.read_text())
    second = b.later(b.run, leat_sql.SCHEMA.read_text())
    shard.until_waiting(b)
    a.commit()
    second.result()


def test_claim_gives_token_epoch_base_and_rows(shard):
    """A claim returns a fresh token, the next epoch, the base as it stands and every row after it, in order of seq."""
    a = shard.session()
    first = a.claim()
    assert (first.base_seq, first.low, first.newest, first.rows) == (0, -1, [-1, 0, -1], [])
    assert first.base_offsets == [-1] * 64
    a.batch(first, 2, moved={5: 50, 63: 51})
    a.batch(first, 1, moved={4: 40}, newest_at_ms=777, newest_epoch=3)
    second = a.claim()
    assert second.epoch == first.epoch + 1 and second.token != first.token
    assert second.rows == [(1, [4], [40]), (2, [5, 63], [50, 51])]
    assert a.run("SELECT newest_at_ms, newest_epoch FROM leat.rows(1, 0)") == [(777, 3), (0, -1)]
    a.compact(second, 1, offset=9, low=8, newest=51, newest_at_ms=1234, newest_epoch=4, needs=[1, 2])
    third = a.claim()
    assert (third.base_seq, third.base_offsets[:2], third.low) == (1, [9, -1], 8)
    assert third.newest == [51, 1234, 4]
    assert third.seqs() == [2]


def test_claim_and_rows_in_one_statement(shard):
    """leat.rows reads with a snapshot of its own: also beside leat.claim in one statement it sees what the claim waited
    for."""
    a, claim = owner_with_batches(shard, 1)
    a.begin()
    a.advance(claim, 2)
    b = shard.session()
    both = b.later(b.run, "SELECT (SELECT array_agg(seq) FROM leat.rows(1, 0)) FROM leat.take(1, 0, 20000)")
    shard.until_waiting(b)
    a.commit()
    assert both.result() == [([1, 2],)]


def test_claim_waits_for_a_running_batch(shard):
    """A claim is granted only after the batch has ended, and reads its row."""
    a, claim = owner_with_batches(shard, 1)
    a.begin()
    a.advance(claim, 2)
    b = shard.session()
    claiming = b.later(b.claim)
    shard.until_waiting(b)
    assert not claiming.done()
    a.commit()
    assert claiming.result().seqs() == [1, 2]


def test_claim_gives_up_after_its_lock_timeout(shard):
    """55P03, not an endless wait, when the batch does not end; and nothing has changed."""
    a, claim = owner_with_batches(shard, 1)
    a.begin()
    a.advance(claim, 2)
    with fails_with("55P03"):
        shard.session().claim(lock_timeout_ms=50)
    a.commit()
    a.batch(claim, 3, needs=[2])


def test_claim_that_rolls_back_fences_nobody(shard):
    """Nothing read in a claim counts before its commit."""
    a, claim = owner_with_batches(shard, 1)
    b = shard.session()
    b.begin()
    b.run("SELECT leat.take(1, 0, 1000)")
    b.rollback()
    a.batch(claim, 2)


@pytest.mark.parametrize("source, partition", [(1, 2), (2, 0), (1, -1)])
def test_claim_of_a_partition_that_is_not_there(shard, source, partition):
    """LT004 names the partition."""
    with fails_with("LT004") as error:
        shard.session().claim(partition=partition, source=source)
    assert error.diag.message_detail == str(partition)


def test_two_batches_of_one_partition_do_not_wait(shard):
    """Both hold the partition at once and commit in either order."""
    a, claim = owner_with_batches(shard, 0)
    b = shard.session()
    a.begin()
    a.advance(claim, 1)
    b.begin()
    b.advance(claim, 2, lock_timeout_ms=50)
    b.commit()
    a.commit()
    assert shard.seqs() == [1, 2]


def test_old_claim_is_fenced(shard):
    """LT001 for every batch under a claim that is not the latest; DETAIL is the partition."""
    a, _ = owner_with_batches(shard, 1)
    stale = a.claim(partition=1)
    shard.session().claim(partition=1)
    with fails_with("LT001") as error:
        a.batch(stale, 1, partition=1)
    assert error.diag.message_detail == "1"
    assert shard.seqs(1) == [] and shard.hits() == 1


def test_partition_that_is_not_there_is_fenced(shard):
    """A batch or compaction for it finds no claim of its own."""
    a, claim = owner_with_batches(shard, 0)
    with fails_with("LT001"):
        a.batch(claim, 1, partition=7)
    with fails_with("LT001"):
        a.compact(claim, 1, partition=7)


def test_lost_commit_is_noticed(shard):
    """LT002, with the partition in DETAIL, when a batch that this one builds on is lost."""
    a, claim = owner_with_batches(shard, 3)
    standby = shard.save()
    a.batch(claim, 4, needs=[3])
    shard.fail_over(standby)
    with fails_with("LT002") as error:
        a.batch(claim, 5, needs=[4])
    assert error.diag.message_detail == "0"
    assert shard.seqs() == [1, 2, 3] and shard.hits() == 3


@pytest.mark.parametrize("needs, good", [
    ([], True), ([3], True), ([1, 2, 3, 4], True), ([4, 4, 4], True), ([-9, 0, 2], True), ([6], False),
    ([4, 6], False), ([1, 9], False), ([-1, 6], False), ([None], False), ([4, None], False),
    (list(range(-60, 5)), True),
])
def test_needs(shard, needs, good):
    """Each one must be at or below base_seq (2) or be a row (3, 4); NULL is neither."""
    a, claim = owner_with_batches(shard, 4)
    a.compact(claim, 2, needs=[4])
    if good:
        a.batch(claim, 5, needs=needs)
        a.compact(claim, 3, needs=needs)
    else:
        with fails_with("LT002"):
            a.batch(claim, 5, needs=needs)
        with fails_with("LT002"):
            a.compact(claim, 3, needs=needs)


def test_needs_null_is_refused(shard):
    """A missing list is not an empty one."""
    a, claim = owner_with_batches(shard, 1)
    with fails_with("LT002"):
        a.run("SELECT leat.advance(1, 0, %s, 2, '{}', '{}', 0, -1, NULL, 1000)", claim.token)
    with fails_with("LT002"):
        a.run("SELECT leat.compact(1, 0, %s, 1, '{}', 0, 0, 0, -1, NULL, 1000)", claim.token)


def test_needs_of_another_partition_do_not_count(shard):
    """Rows are looked up in the batch's own partition."""
    a, _ = owner_with_batches(shard, 5)
    other = a.claim(partition=1)
    with fails_with("LT002"):
        a.batch(other, 1, partition=1, needs=[5])


def test_null_claim_is_no_claim(shard):
    """A claim that is NULL fits nothing."""
    with fails_with("LT001"):
        shard.session().run("SELECT leat.advance(1, 0, NULL, 1, '{}', '{}', 0, -1, '{}', 1000)")


def test_empty_and_negative(shard):
    """A batch may move no subpartition; seqs and offsets are plain numbers of 64 bits."""
    a, claim = owner_with_batches(shard, 0)
    a.batch(claim, 1, moved={})
    a.batch(claim, -5, moved={0: -1})
    a.batch(claim, 2**63 - 1, moved={0: 2**63 - 1}, needs=[-5, 1])
    assert a.claim().rows == [(-5, [0], [-1]), (1, [], []), (2**63 - 1, [0], [2**63 - 1])]


def test_subpartitions_and_offsets_go_in_pairs(shard):
    """A row that a claim could not read is never written."""
    a, claim = owner_with_batches(shard, 0)
    with fails_with("23514"):
        a.run("SELECT leat.advance(1, 0, %s, 1, '{1,2}', '{10}', 0, -1, '{}', 1000)", claim.token)


def test_a_seq_is_used_once(shard):
    """The same seq again is refused, whatever the batch."""
    a, claim = owner_with_batches(shard, 1)
    with fails_with("23505"):
        a.batch(claim, 1)


def test_batch_that_touches_two_partitions(shard):
    """It is applied to both or, fenced in the second, to none."""
    a = shard.session()
    claims = [a.claim(partition=p) for p in (0, 1)]
    with a.transaction():
        for p in (0, 1):
            a.advance(claims[p], 1, partition=p)
        a.hit()
    shard.session().claim(partition=1)
    with fails_with("LT001") as error, a.transaction():
        for p in (0, 1):
            a.advance(claims[p], 2, partition=p, needs=[1])
    assert error.diag.message_detail == "1"
    assert (shard.seqs(0), shard.seqs(1), shard.hits()) == ([1], [1], 1)


def test_pipeline_with_one_sync_is_one_transaction(shard):
    """advance, rows and a dead letter in a pipeline: an error undoes all of it, and the rest is not run."""
    a, claim = owner_with_batches(shard, 0)
    pipe = shard.pipe()
    pipe.advance(claim, 1)
    pipe.hit()
    pipe.send("INSERT INTO leat.dead_letters (source, partition, \"offset\", key, message, accepted_at)"
              " VALUES (1, 0, 7, '\\xff00', 'no sense', now())")
    pipe.send("SELECT 1 / 0")
    pipe.hit()
    pipe.sync()
    assert [pipe.result() for _ in range(6)] == [None, None, None, "22012", "aborted", "sync"]
    assert shard.hits() == 0 and shard.seqs() == []
    assert a.value("SELECT count(*) FROM leat.dead_letters") == 0


def test_deferred_constraint_fails_at_the_sync(shard):
    """Every statement succeeds and the Sync brings the error: progress is undone with the row."""
    a, claim = owner_with_batches(shard, 0)
    a.run("CREATE TABLE parent (id int PRIMARY KEY)")
    a.run("CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    pipe = shard.pipe()
    pipe.advance(claim, 1)
    pipe.send("INSERT INTO child VALUES (1, 1)")
    assert [pipe.result(), pipe.result()] == [None, None]
    pipe.sync()
    assert pipe.result() == "23503"
    assert shard.seqs() == []


def test_batches_fenced_in_a_pipeline_leave_the_connection_usable(shard):
    """After LT001 and the Sync the next batch of the same connection works."""
    a, claim = owner_with_batches(shard, 0)
    fresh = a.claim()
    pipe = shard.pipe()
    pipe.advance(claim, 1)
    pipe.hit()
    pipe.sync()
    pipe.advance(fresh, 1)
    pipe.hit()
    pipe.sync()
    assert [pipe.result() for _ in range(6)] == ["LT001", "aborted", "sync", None, None, "sync"]
    assert shard.hits() == 1


def test_compaction_moves_rows_into_the_base(shard):
    """Rows up to the new base are gone, later ones stay, other partitions are not touched."""
    a, claim = owner_with_batches(shard, 5)
    other = a.claim(partition=1)
    a.batch(other, 1, partition=1)
    a.compact(claim, 3, offset=33, low=30, newest_at_ms=77, needs=[5])
    assert shard.partition()[2:] == (3, 33, 30, 77)
    assert shard.seqs() == [4, 5] and shard.seqs(1) == [1]


def test_compaction_that_rolls_back_changes_nothing(shard):
    """Base and rows go together."""
    a, claim = owner_with_batches(shard, 5)
    a.begin()
    a.compact(claim, 5, needs=[5])
    a.rollback()
    assert shard.partition()[2] == 0 and shard.seqs() == [1, 2, 3, 4, 5]


def test_locks_of_sources_are_apart(shard):
    """A claim in one source does not wait for a batch of the same partition in another."""
    a, claim = owner_with_batches(shard, 0)
    a.run("INSERT INTO leat.sources VALUES (2, 'log', 'others', 'id', '{}', 64, 'xxh3-64')")
    a.run("INSERT INTO leat.partitions (source, partition, base_offsets) VALUES (2, 0, '{}')")
    a.begin()
    a.advance(claim, 1)
    shard.session().claim(source=2, lock_timeout_ms=50)
    a.commit()


@pytest.mark.parametrize("source", [1, -1, 2**31 - 1])
def test_terminate_holders_finds_the_lock_of_any_source(shard, source):
    """The key is a signed number in the call and an unsigned one in pg_locks."""
    a = shard.session()
    if source != 1:
        a.run("INSERT INTO leat.sources VALUES (%s, 'log', 'others', 'id', '{}', 64, 'xxh3-64')", source)
        a.run("INSERT INTO leat.partitions (source, partition, base_offsets) VALUES (%s, 0, '{}')", source)
    claim = a.claim(source=source)
    frozen = shard.pipe()
    frozen.advance(claim, 1, source=source)
    assert frozen.result() is None
    assert a.terminate_holders(source=source) == 1
    shard.until_gone(frozen)


def test_terminate_holders_spares_who_waits(shard):
    """Another claim in the queue is not a holder."""
    a, claim = owner_with_batches(shard, 0)
    foreign, waiting = shard.session("psql"), shard.session()
    foreign.begin()
    foreign.advance(claim, 1)
    claiming = waiting.later(waiting.claim)
    shard.until_waiting(waiting)
    assert a.terminate_holders() == 0
    foreign.commit()
    assert claiming.result().seqs() == [1]


def test_terminate_holders_in_this_database_only(shard, server):
    """The same partition of another shard on the same server is another lock."""
    a, claim = owner_with_batches(shard, 0)
    _, dsn = server
    elsewhere = leat_sql.Session(dsn)
    elsewhere.begin()
    elsewhere.run("SELECT pg_advisory_xact_lock_shared(%s, 0)", leat_sql.LOCK_KEY ^ 1)
    a.claim(lock_timeout_ms=50)
    assert a.terminate_holders() == 0
    elsewhere.commit()
    elsewhere.close()


def test_a_row_lock_ends_in_lock_timeout_too(shard):
    """The timeout advance sets bounds the row statements after it."""
    a, claim = owner_with_batches(shard, 0)
    holder = shard.session("psql")
    holder.begin()
    holder.hit()
    with fails_with("55P03"):
        a.batch(claim, 1, lock_timeout_ms=50)
    holder.rollback()
    a.batch(claim, 2)


def test_lookups_use_the_primary_key_whatever_the_statistics(shard):
    """A session that planned while progress was empty stays fast when thousands of rows have come: index scans only."""
    a, claim = owner_with_batches(shard, 0)
    a.run("VACUUM ANALYZE leat.progress, leat.partitions")
    for seq in range(1, 12):
        a.batch(claim, seq, needs=[seq - 1])
    a.run("SELECT pg_stat_force_next_flush()")
    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE schemaname = 'leat' AND relname = %s"
    before = [a.value(scans, table) for table in ("progress", "partitions")]
    for seq in range(12, 30):
        a.batch(claim, seq, needs=[seq - 1, 1])
    a.compact(claim, 20, needs=[29])
    a.run("SELECT pg_stat_force_next_flush()")
    assert [a.value(scans, table) for table in ("progress", "partitions")] == before
