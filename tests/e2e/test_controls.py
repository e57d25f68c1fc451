"""`leat control`: an operator has the records of a tenant or of one row left out for a time, wherever they wait."""
import json

from lib.harness import both, wait_until

THINGS = {"postgres": "create table things (app int, id int, n int not null default 0, primary key (app, id))",
          "sqlite": "create table things (app int not null, id int not null, n int not null default 0, primary key (app, id))"}
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "columns": {"n": "add"}}


def make(make_world, **settings):
    world = make_world(shards=1, partitions=2, table_sql=THINGS, route=ROUTE, catalog_every="1h",
                       apply={"compact_every": "200ms", **settings})
    world.init()
    return world


def write(client, app, thing, count=1):
    for _ in range(count):
        answer = client.patch(f"/apps/{app}/things/{thing}", json={"n": 1})
        assert answer.status_code == 202, answer.text


def control(world, *arguments, code=0):
    done = world.leat("control", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def n_of(world, app, thing):
    found = world.rows(f"select n from things where app = {app} and id = {thing}")
    return found[0][0] if found else None


def all_is_disposed_of(world):
    """The low water is at the log's end, and nothing that it has passed is parked."""
    lows = dict(world.rows("select partition, low from leat.partitions"))
    return all(lows[partition] == end - 1 for partition, end in world.log_ends().items() if end > 0) \
        and world.rows("select 1 from leat.parked") == []


@both
def test_a_blocked_tenant_is_left_out_others_are_not_and_it_comes_back(make_world):
    world = make(make_world)
    worker, edge = world.start("apply"), world.start("edge")
    with world.client(edge) as client:
        write(client, 7, 1)
        write(client, 8, 1)
        wait_until(lambda: (n_of(world, 7, 1), n_of(world, 8, 1)) == (1, 1), "both to be applied")
        said = control(world, "block", "--tenant", "07", "--for", "1h", "--keep", "3", "--reason", "it floods")
        assert "control 1: records of tenant 7 are skipped in shard a until " in said
        wait_until(lambda: world.metric(worker, "leat_controls_active") == 1, "the worker to know of it")
        write(client, 7, 1, 5)
        write(client, 7, 2, 5)
        write(client, 8, 1, 5)
        wait_until(lambda: world.metric(worker, "leat_records_skipped_by_control_total") == 10, "ten to be left out")
        wait_until(lambda: n_of(world, 8, 1) == 6, "the other tenant's")
        wait_until(lambda: all_is_disposed_of(world), "the low water at the end")
        assert (n_of(world, 7, 1), n_of(world, 7, 2)) == (1, None)
        wait_until(lambda: world.metric(worker, "leat_records_applied_total") == 7, "those to be counted")
        letters = world.rows("select partition, sqlstate, message, control from leat.dead_letters order by partition, \"offset\"")
        assert 3 <= len(letters) <= 6 and all(sum(l[0] == p for l in letters) <= 3 for p in (0, 1))
        assert all(l[1] is None and l[3] == 1 and l[2].startswith("skipped by control 1 of tenant 7 until ")
                   and l[2].endswith(": it floods") for l in letters), letters

        status = world.leat("status")
        assert status.returncode == 0, status.stdout
        assert "control 1 of tenant 7 until " in status.stdout and "it floods" in status.stdout
        (listed,) = control(world, "list", "--json").splitlines()
        listed = json.loads(listed)
        assert (listed["control"], listed["shard"], listed["tenant"], listed["table"], listed["keep"]) == (1, "a", "7", None, 3)
        assert 3500 < listed["left"] <= 3600

        control(world, "unblock", "--tenant", "7")
        assert control(world, "list") == "no controls\n"
        wait_until(lambda: world.metric(worker, "leat_controls_active") == 0, "the worker to know of that")
        write(client, 7, 1)
        wait_until(lambda: n_of(world, 7, 1) == 2, "it to be applied again")
    assert world.metric(worker, "leat_records_skipped_by_control_total") == 10


@both
def test_a_control_ends_by_itself(make_world):
    world = make(make_world)
    worker, edge = world.start("apply"), world.start("edge")
    control(world, "block", "--tenant", "7", "--for", "4s", "--keep", "0")
    wait_until(lambda: world.metric(worker, "leat_controls_active") == 1, "the worker to know of it")
    with world.client(edge) as client:
        write(client, 7, 1)
        wait_until(lambda: world.metric(worker, "leat_controls_active") == 0, "its end")
        write(client, 7, 2)
        wait_until(lambda: n_of(world, 7, 2) == 1, "the next to be applied")
    assert world.rows("select count(*) from leat.dead_letters") == [(0,)]


@both
def test_one_row_is_left_out_and_its_neighbours_are_not(make_world):
    world = make(make_world)
    worker, edge = world.start("apply"), world.start("edge")
    assert "key things 7/1" in control(world, "block", "--key", "7/01", "--for", "1h")
    wait_until(lambda: world.metric(worker, "leat_controls_active") == 1, "the worker to know of it")
    with world.client(edge) as client:
        for thing in (1, 2, 1, 3):
            write(client, 7, thing)
        wait_until(lambda: (n_of(world, 7, 2), n_of(world, 7, 3)) == (1, 1), "the neighbours")
        wait_until(lambda: world.metric(worker, "leat_records_skipped_by_control_total") == 2, "the row's to be left out")
    assert n_of(world, 7, 1) is None


def test_a_record_that_is_stuck_behind_a_lock_is_left_out_at_once(make_world):
    """It is found although it waits with a back-off, and so are those behind it. A new process knows of the control before it
    applies anything."""
    world = make(make_world, lock_timeout="100ms", patience="10m")
    worker, edge = world.start("apply"), world.start("edge")
    with world.db("a") as other, world.client(edge) as client:
        other.autocommit = False
        other.execute("insert into things (app, id) values (7, 1)")  # not committed: any writer of the row waits
        write(client, 7, 1, 20)
        wait_until(lambda: world.metric(worker, "leat_subpartitions_stalled") >= 1, "it to be stalled")
        write(client, 8, 1)
        wait_until(lambda: n_of(world, 8, 1) == 1, "another")
        assert not all_is_disposed_of(world)
        control(world, "block", "--tenant", "7", "--for", "1h", "--keep", "1")
        wait_until(lambda: all_is_disposed_of(world), "nothing to be left of it", timeout=20)
        wait_until(lambda: world.metric(worker, "leat_subpartitions_stalled") == 0, "the stall to end")
        wait_until(lambda: world.metric(worker, "leat_records_skipped_by_control_total") == 20, "them to be counted")
        worker.kill()
        write(client, 7, 1, 5)
        again = world.start("apply")
        wait_until(lambda: all_is_disposed_of(world), "what came meanwhile to be left out")
        wait_until(lambda: world.metric(again, "leat_records_skipped_by_control_total") == 5, "them to be counted")
        other.rollback()
    assert n_of(world, 7, 1) is None
    assert again.terminate() == 0


def test_what_cannot_be_meant_changes_nothing(make_world):
    world = make(make_world)
    for arguments, words in [
        (["block", "--for", "1h"], "give one of --tenant and --key"),
        (["block", "--tenant", "7", "--key", "7/1", "--for", "1h"], "give one of --tenant and --key"),
        (["block", "--tenant", "7", "--table", "things", "--for", "1h"], "--table and --route belong to --key"),
        (["block", "--tenant", "7"], "--for is needed"),
        (["block", "--tenant", "7", "--for", "900h"], "--for must be from 1s to 744h"),
        (["block", "--tenant", "7", "--for", "soon"], "--for must be from 1s to 744h"),
        (["block", "--tenant", "7", "--for", "1h", "--keep", "-1"], "--keep must be a number from 0 to 10000"),
        (["block", "--tenant", "7", "--for", "1h", "--reason", "x" * 201], "--reason is longer than 200 bytes"),
        (["list", "--tenant", "7"], "takes no option --tenant"),
    ]:
        assert words in control(world, *arguments, code=2), arguments
    for arguments, words in [
        (["block", "--tenant", "seven", "--for", "1h"], "there is no tenant seven: app: "),
        (["block", "--tenant", "7" * 2000, "--for", "1h"], "...: app: "),
        (["block", "--key", "7", "--for", "1h"], "it is no key of table things: the key must have 2 parts"),
        (["block", "--key", "7/x", "--for", "1h"], "it is no key of table things: id: "),
        (["block", "--key", "7/1", "--table", "others", "--for", "1h"], "writes others"),
        (["block", "--key", "7/1", "--route", "others", "--for", "1h"], "has no route others"),
        (["unblock", "--tenant", "7"], "there is no control of tenant 7"),
        (["list", "--shard", "b"], "has no shard b"),
    ]:
        assert words in control(world, *arguments, code=1), arguments
    assert control(world, "list") == "no controls\n"

    control(world, "block", "--tenant", "7", "--for", "1h")
    said = control(world, "unblock", "--key", "7/1", code=1)
    assert "key things 7/1 is skipped with its tenant until" in said and "nothing was changed" in said
    assert "its end has changed" in control(world, "block", "--tenant", "7", "--for", "2h")
    (listed,) = control(world, "list", "--json").splitlines()
    assert json.loads(listed)["left"] > 7000

    # A row has a control of its own beside its tenant's, as long as it does the same.
    said = control(world, "block", "--key", "7/1", "--for", "3h", "--hold", code=1)
    assert "key things 7/1 is skipped with its tenant until" in said and "(control 1): nothing was changed" in said
    assert len(control(world, "list", "--json").splitlines()) == 1
    control(world, "block", "--key", "7/1", "--for", "3h")
    said = control(world, "unblock", "--key", "7/1")
    assert "the control of key things 7/1 is removed in shard a; its records are still skipped with its tenant until" in said
    assert "(control 1)" in said
    assert "key things 7/1 is skipped with its tenant until" in control(world, "unblock", "--key", "7/1", code=1)
    control(world, "block", "--key", "5/1", "--for", "1h")
    control(world, "block", "--tenant", "5", "--for", "1h", "--hold")
    control(world, "unblock", "--tenant", "5")
    assert "records of key things 5/1 are applied again" in control(world, "unblock", "--key", "5/1")

    # What is held to lose nothing is not skipped by a slip, nor the reverse.
    said = control(world, "block", "--tenant", "7", "--for", "3h", "--hold", code=1)
    assert "tenant 7 is skipped until" in said and "nothing was changed; unblock it first" in said
    control(world, "block", "--key", "6/1", "--for", "1h", "--hold")
    said = control(world, "block", "--key", "6/1", "--for", "2h", code=1)
    assert "is held until" in said and "nothing was changed; unblock it first" in said
    said = control(world, "block", "--key", "6/1", "--for", "3h", "--hold")
    assert "are held in shard a" in said and "At most 4096 rows of a partition are held, 256 of them in one subpartition" in said
    ends = {one["action"]: one["left"] for one in map(json.loads, control(world, "list", "--json").splitlines())}
    assert ends["skip"] < 7300 and ends["hold"] > 10000
    control(world, "unblock", "--key", "6/1")

    del world.settings["routes"][0]["tenant"]
    world.write_config()
    assert "no route has a tenant" in control(world, "block", "--tenant", "7", "--for", "1h", code=1)


NAMED = {kind: sql.replace(" int", " text", 2) for kind, sql in THINGS.items()}


@both
def test_a_long_name_leaves_room_for_the_advice(make_world):
    world = make_world(shards=1, partitions=2, table_sql=NAMED, route=ROUTE)
    world.init()
    world.start("apply")  # which sets the built-in log's shard up
    tenant = "t" * 1000
    key = f"{tenant}/{'k' * 1000}"
    control(world, "block", "--tenant", tenant, "--for", "1h")
    said = control(world, "block", "--key", key, "--for", "1h", "--hold", code=1)
    assert "... is skipped with its tenant until" in said
    assert said.endswith("... first, then its records are applied until it is blocked again\n"), said
    said = control(world, "unblock", "--key", key, code=1)
    assert "... is skipped with its tenant until" in said and said.endswith("... to end that\n"), said


@both
def test_a_held_row_keeps_its_records_until_a_retry(make_world):
    """Nothing is lost: what comes under the control is kept in order, beside others of its tenant, and neither the control's end nor a
    new process lets it go. A retry applies it; with the control it is held again."""
    world = make(make_world)
    worker, edge = world.start("apply"), world.start("edge")

    def counts():
        return world.rows("select (select count(*) from leat.held), (select count(*) from leat.parked_keys)")[0]

    with world.client(edge) as client:
        write(client, 7, 1)
        wait_until(lambda: n_of(world, 7, 1) == 1, "it to be applied")
        assert "--hold keeps all of them" in control(world, "block", "--key", "7/1", "--for", "1h", "--hold", "--keep", "1", code=2)
        said = control(world, "block", "--key", "7/1", "--for", "1h", "--hold", "--reason", "a look first")
        assert "control 1: records of key things 7/1 are held in shard a until " in said
        wait_until(lambda: world.metric(worker, "leat_controls_active") == 1, "the worker to know of it")
        write(client, 7, 1, 5)
        write(client, 7, 2, 5)
        wait_until(lambda: counts() == (1, 5) and n_of(world, 7, 2) == 5, "five to be kept, and the others to be applied")
        assert n_of(world, 7, 1) == 1
        assert "held by control 1 of key things 7/1 until " in control(world, "list")
        assert json.loads(control(world, "list", "--json"))["action"] == "hold"
        listed = world.leat("dead", "list", "--held").stdout
        assert "with 5 records" in listed and "held by control 1 of key things 7/1 until " in listed and "a look first" in listed
        control(world, "unblock", "--key", "7/1")
        wait_until(lambda: world.metric(worker, "leat_controls_active") == 0, "the worker to know of that")
    worker.kill()
    worker, edge = world.start("apply"), world.start("edge") if world.is_one_process else edge
    with world.client(edge) as client:
        write(client, 7, 1)
        wait_until(lambda: counts() == (1, 6), "the next one to be kept too")
        assert "6 records applied, no longer held" in world.leat("dead", "retry").stdout
        write(client, 7, 1)
        wait_until(lambda: n_of(world, 7, 1) == 8, "all of them")
        assert counts() == (0, 0) and world.rows("select count(*) from leat.dead_letters") == [(0,)]
    assert worker.terminate() == 0


def test_a_tenant_is_held_row_by_row(make_world):
    """Also rows that wait: each of its rows is held with its first record from then on."""
    world = make(make_world)
    worker, edge = world.start("apply"), world.start("edge")
    with world.client(edge) as client, world.db("a") as other:
        write(client, 7, 1)
        wait_until(lambda: n_of(world, 7, 1) == 1, "it to be applied")
        other.autocommit = False
        other.execute("update things set n = n where app = 7")
        write(client, 7, 1)
        wait_until(lambda: world.metric(worker, "leat_subpartitions_stalled") == 1, "a stall")
        control(world, "block", "--tenant", "7", "--for", "1h", "--hold")
        wait_until(lambda: world.rows("select count(*) from leat.held") == [(1,)], "the row that waits to be held, behind its lock")
        write(client, 7, 2, 2)
        write(client, 8, 1)
        wait_until(lambda: world.rows("select count(*) from leat.parked_keys") == [(3,)] and n_of(world, 8, 1) == 1, "its other row")
        other.rollback()
    control(world, "unblock", "--tenant", "7")
    wait_until(lambda: world.metric(worker, "leat_controls_active") == 0, "the worker to know of that")
    assert world.leat("dead", "retry").returncode == 0
    assert (n_of(world, 7, 1), n_of(world, 7, 2)) == (2, 2)
    assert worker.terminate() == 0


CHECKED = {kind: sql[:-1] + ", constraint small check (n < 100))" for kind, sql in THINGS.items()}


@both
def test_what_is_kept_of_held_rows_is_left_out_too_and_a_retry_asks_the_controls(make_world):
    """Nobody would try it again: it was refused as bad data. The rows of another tenant stay held. A row under a control that holds it
    is not applied by hand either."""
    world = make_world(shards=1, partitions=2, table_sql=CHECKED, route={**ROUTE, "on_refused": "hold"}, catalog_every="1h",
                       apply={"compact_every": "200ms"})
    world.init()
    worker, edge = world.start("apply"), world.start("edge")

    def listed():
        return {row["key"]: row["records"] for row in map(json.loads, world.leat("dead", "list", "--held", "--json").stdout.splitlines())}

    with world.client(edge) as client:
        for app, thing in [(7, 1), (7, 2), (8, 1)]:
            assert client.patch(f"/apps/{app}/things/{thing}", json={"n": 1000}).status_code == 202
            write(client, app, thing, 2)
        wait_until(lambda: listed() == {"7/1": 3, "7/2": 3, "8/1": 3}, "three rows to be held")

        control(world, "block", "--tenant", "7", "--for", "1h", "--hold")
        said = world.leat("dead", "retry", "--key", "7/1")
        assert said.returncode == 3 and "key 7/1 of " in said.stdout, said.stdout
        assert "not tried, because its records are held by control 1 of tenant 7 until " in said.stdout
        assert listed() == {"7/1": 3, "7/2": 3, "8/1": 3}

        control(world, "unblock", "--tenant", "7")
        control(world, "block", "--tenant", "7", "--for", "1h", "--keep", "2", "--reason", "enough")
        wait_until(lambda: listed() == {"8/1": 3}, "what is kept of the tenant to be left out", timeout=20)
        wait_until(lambda: world.metric(worker, "leat_records_skipped_by_control_total") == 6, "them to be counted")
        letters = world.rows("select message from leat.dead_letters")
        assert 2 <= len(letters) <= 4 and all(l[0].endswith(": enough") for l in letters), letters
        write(client, 8, 1)
        wait_until(lambda: listed() == {"8/1": 4}, "the other one to go on as before")
    assert world.rows("select count(*) from things where app = 7") == [(0,)]
    assert "key 8/1 of " in world.leat("dead", "retry").stdout
