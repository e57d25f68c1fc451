"""leat.controls, and the letters that are kept of what a control has skipped."""
KEEP = ("SELECT leat.keep_skipped(1, %s, %s, 'r', 'k', 'put', NULL, '{}', NULL, 'skipped', now(), %s, %s)")


def letters(a, partition=0):
    return [o for (o,) in a.run("SELECT \"offset\" FROM leat.dead_letters WHERE partition = %s ORDER BY 1", partition)]


def test_the_newest_letters_of_a_control_are_kept_in_each_partition(shard):
    a = shard.session()
    for offset in range(10):
        a.run(KEEP, 0, offset, 5, 3)
        a.run(KEEP, 1, offset, 5, 2)
    a.run(KEEP, 0, 20, 6, 3)  # another control's
    a.run(KEEP, 0, 8, 5, 3)  # again, after a commit with an unknown outcome
    assert letters(a) == [7, 8, 9, 20]
    assert letters(a, 1) == [8, 9]


def test_refused_records_are_not_trimmed(shard):
    a = shard.session()
    a.run("INSERT INTO leat.dead_letters (source, partition, \"offset\", message, accepted_at) VALUES (1, 0, 1, 'refused', now())")
    for offset in range(2, 6):
        a.run(KEEP, 0, offset, 5, 1)
    assert letters(a) == [1, 5]


def test_two_batches_of_a_partition_do_not_wait_for_each_other(shard):
    a, b = shard.session(), shard.session()
    for offset in range(4):
        a.run(KEEP, 0, offset, 5, 100)
    a.begin()
    b.begin()
    a.run(KEEP, 0, 10, 5, 2)  # removes 0 to 2, not committed
    b.run("SET LOCAL lock_timeout = 1000")
    b.run(KEEP, 0, 11, 5, 2)
    b.commit()
    a.commit()
    a.run(KEEP, 0, 12, 5, 2)
    assert letters(a) == [11, 12]


def test_a_letter_that_cannot_be_kept_holds_nothing_up(shard):
    """Neither a trigger that refuses it nor a missing privilege: the batch around it goes on, with its progress."""
    a = shard.session()
    claim = a.claim()
    a.run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'")
    a.run("CREATE TRIGGER refuse BEFORE INSERT ON leat.dead_letters FOR EACH ROW EXECUTE FUNCTION refuse()")
    a.begin()
    a.advance(claim, claim.next_seq())
    a.run(KEEP, 0, 1, 5, 3)
    a.hit()
    a.commit()
    assert letters(a) == []


def test_a_tenant_or_a_key_has_one_control_and_a_new_one_has_a_new_number(shard):
    a = shard.session()
    put = ("INSERT INTO leat.controls (source, \"table\", what, keep, until, reason) VALUES (1, %s, %s, 0, now() + interval '1 h', '')"
           " ON CONFLICT ON CONSTRAINT controls_once DO UPDATE SET until = excluded.until RETURNING id")
    first = a.value(put, None, "7")
    assert a.value(put, None, "7") == first
    assert a.value(put, "t", "7") != first
    a.run("DELETE FROM leat.controls WHERE id = %s", first)
    assert a.value(put, None, "7") > first


def test_the_end_of_a_control_that_skipped_is_noted(shard):
    """However it ends: by itself, by another end, or removed; the latest end counts, and one that held is none."""
    a = shard.session()
    put = ("INSERT INTO leat.controls (source, \"table\", what, action, keep, until, reason)"
           " VALUES (1, %s, %s, %s, 0, now() + %s * interval '1 h', '')")
    noted = ("SELECT \"table\", what, until > clock_timestamp() - interval '1 min', until <= clock_timestamp()"
             " FROM leat.ended_controls WHERE source = 1 ORDER BY what")
    a.run(put, None, "7", "skip", 1)
    a.run(put, "t", "8/1", "skip", -2)
    a.run(put, None, "9", "hold", 1)
    assert a.run(noted) == []
    a.run("UPDATE leat.controls SET until = now() + interval '2 h' WHERE what = '7'")
    assert a.run(noted) == [(None, "7", True, True)]
    a.run("DELETE FROM leat.controls")
    assert a.run(noted) == [(None, "7", True, True), ("t", "8/1", False, True)]
    a.run(put, "t", "8/1", "skip", -3)
    a.run("DELETE FROM leat.controls")
    assert a.value("SELECT until > now() - interval '150 min' FROM leat.ended_controls WHERE what = '8/1'")
    a.run("UPDATE leat.ended_controls SET until = now() - interval '91 days' WHERE what = '8/1'")
    a.run(put, None, "7", "skip", 1)
    a.run("DELETE FROM leat.controls")
    assert [row[1] for row in a.run(noted)] == ["7"]
