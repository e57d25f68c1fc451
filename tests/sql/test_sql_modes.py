"""leat.modes: a change of a live route's shares against writes that go to the database, in independent sessions."""
from leat_sql import eventually, fails_with

# Of this database: other tests use the server too.
LOCKS = ("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
         " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
LOCK = "SELECT pg_advisory_xact_lock(1818583412 # 1, -1 - %s)"


def change(session, share, shadow=0, route="r"):
    """The row of the route after it, as (version, before, async, async_before, is_wanted)."""
    row = session.run("SELECT * FROM leat.begin_mode(1, %s, %s, %s)", route, share, shadow)[0]
    return (*row[1:5], row[7])


def settle(session, route="r"):
    session.run("UPDATE leat.modes SET async_before = async WHERE route = %s", route)


def write(session, point, route="r", hash=7, key="3/k", tenant="3"):
    session.run("SELECT leat.write_now(1, 0, %s, %s, %s, 1000, 't', %s, %s)", hash, route, point, key, tenant)


def begun(session, share, shadow=0):
    """The first shares of a route, as if nothing of it were in the log."""
    row = change(session, share, shadow)
    settle(session)
    return row


def test_a_change_has_two_steps_and_is_given_again_until_it_is_settled(shard):
    a = shard.session()
    assert change(a, 0) == (1, 0, 0, 10000, True)  # whatever is in the log of it comes first
    with fails_with("LT011"):
        write(a, 9999)
    settle(a)
    assert change(a, 0) == (1, 0, 0, 0, True)
    assert change(a, 5000) == (2, 1, 5000, 0, True)
    assert change(a, 5000) == (2, 1, 5000, 0, True)
    assert change(a, 6000) == (2, 1, 5000, 0, False)  # not before that one is settled
    settle(a)
    assert change(a, 1000) == (3, 2, 1000, 5000, True)
    settle(a)
    assert change(a, 10000, route="other")[2:] == (10000, 10000, True)


def test_the_shadow_share_changes_without_a_version_of_its_own(shard):
    """Else the next change would wait for the writes by that one, and not for those before it, which are as good as any."""
    a, b = shard.session(), shard.session()
    begun(a, 0)
    b.begin()
    write(b, 10)
    assert change(a, 0, shadow=10) == (1, 0, 0, 0, True)
    _, before, *_ = change(a, 5000, shadow=20)
    assert not a.run("SELECT pg_try_advisory_xact_lock(1818583412 # 1, -1 - %s)", before)[0][0]
    assert change(a, 5000, shadow=30) == (2, 1, 5000, 0, True)
    b.rollback()


def test_a_change_under_way_is_turned_round(shard):
    """Its keys stay closed, and what has to be awaited is still known."""
    a, b = shard.session(), shard.session()
    begun(a, 5000)
    b.begin()
    write(b, 5000)
    assert change(a, 1000) == (2, 1, 1000, 5000, True)
    assert change(a, 5000) == (2, 1, 5000, 1000, True)
    with fails_with("LT011"):
        write(a, 4999)
    assert change(a, 1000) == (2, 1, 1000, 5000, True)
    assert change(a, 5000) == (2, 1, 5000, 1000, True)
    b.rollback()
    settle(a)
    with fails_with("LT011"):
        write(a, 4999)
    assert change(a, 0) == (3, 2, 0, 5000, True)


def test_only_what_goes_to_the_database_on_both_sides_of_a_change_is_let_through(shard):
    a = shard.session()
    with fails_with("LT011"):
        write(a, 0)  # nobody has said anything
    begun(a, 5000)
    write(a, 5000)
    with fails_with("LT011"):
        write(a, 4999)
    change(a, 7000)  # 5000 to 6999 are closed
    write(a, 7000)
    with fails_with("LT011"):
        write(a, 5000)
    settle(a)
    change(a, 1000)  # 1000 to 6999 are
    with fails_with("LT011"):
        write(a, 1000)
    settle(a)
    write(a, 1000)
    write(a, 0, route=None)  # of a route that is not live


def test_a_change_sees_the_end_of_the_writes_before_it_and_no_later_write_gets_in(shard):
    a, b, c = shard.session(), shard.session(), shard.session()
    begun(a, 0)
    b.begin()
    write(b, 10)  # runs by version 1
    assert change(a, 5000)[:2] == (2, 1)
    with c.transaction():
        write(c, 9000)  # a key that does not move waits for nobody
    a.begin()
    waits = a.later(a.run, LOCK, 1)
    assert not waits.done()
    b.hit()
    b.commit()
    waits.result()
    with fails_with("LT011"):
        write(c, 10)
    a.commit()
    assert shard.observer.value(f"{LOCKS} AND granted") == 0


def test_a_write_that_waits_for_the_lock_of_an_old_version_reads_the_row_again(shard):
    """It has read version 1 and then has to wait: once it has the lock, the change is there to be seen."""
    a, b = shard.session(), shard.session()
    begun(a, 0)
    a.begin()
    a.run(LOCK, 1)
    waits = b.later(write, b, 10)
    eventually(lambda: shard.observer.value(f"{LOCKS} AND NOT granted") == 1, "it to wait")
    change(a, 5000)
    a.commit()
    with fails_with("LT011"):
        waits.result()


def test_a_key_that_is_held_is_not_overtaken(shard):
    a = shard.session()
    a.run("INSERT INTO leat.held (source, partition, hash, \"table\", key, message) VALUES (1, 0, 7, 't', 'k', '')")
    with fails_with("LT007"):
        write(a, 0, route=None)
    write(a, 0, route=None, hash=8)


def test_a_control_leaves_out_its_tenant_or_row_until_it_ends(shard):
    a = shard.session()
    put = ("INSERT INTO leat.controls (source, \"table\", what, keep, until, reason)"
           " VALUES (1, %s, %s, 0, clock_timestamp() + %s::interval, 'why')")
    a.run(put, None, "3", "1 hour")
    a.run(put, "t", "4/k", "1 hour")
    a.run(put, "t", "4/ended", "-1 second")
    a.run(put, "other", "4/other", "1 hour")
    for refused in {}, {"key": "4/k", "tenant": "4"}, {"key": "4/k", "tenant": None}:
        with fails_with("LT007"):
            write(a, 0, route=None, **refused)
    for key in "4/ended", "4/other", "4/l":
        write(a, 0, route=None, key=key, tenant="4")
        write(a, 0, route=None, key=key, tenant=None)


def test_a_row_comes_under_its_own_control_before_its_tenants(shard):
    a = shard.session()
    put = ("INSERT INTO leat.controls (source, \"table\", what, keep, until, reason)"
           " VALUES (1, %s, %s, 0, clock_timestamp() + interval '1 hour', 'why')")
    a.run(put, "t", "3/k")
    a.run(put, None, "3")
    for key, whose in ("3/k", "row"), ("3/l", "tenant"):
        with fails_with("LT007") as error:
            write(a, 0, route=None, key=key)
        assert f"leaves out the writes of this {whose} until" in error.diag.message_primary
