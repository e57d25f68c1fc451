"""`leat verify`: a log that is applied is proved, beside a worker too; each loss that is planted is found and named."""
import json
import os
import pty
import subprocess
import threading

import pytest

from lib.backends import connect_sqlite
from lib.harness import both, wait_until

TABLE = """create table things (app int, id int, n bigint not null default 0, s text, last bigint, primary key (app, id),
           check (s is null or s <> 'bad'))"""
# Stored in another form than the write has, where rows beside it do not name the column.
SHAPED = """create domain level as text not null default 'a';
         alter table things add prices numeric(10,2)[], add cost money, add took interval(0), add grade level"""
ROUTE = {"path": "/apps/{app}/things/{id}", "table": "things", "tenant": "app", "columns": {"n": "add", "last": "max"}}
KEYS = 2500


def verify(world, *arguments, code=0):
    done = world.leat("verify", "--json", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


class Walk:
    """`leat verify` that has begun to read, as it says on a terminal."""

    def __init__(self, world, *arguments):
        master, slave = pty.openpty()
        self.said, self.process = b"", subprocess.Popen([world.program, "verify", "--json", *arguments, "--config", world.config_path],
                                                        stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        self.reader = threading.Thread(target=self.listen, args=(master,))
        self.reader.start()
        wait_until(lambda: b" records  " in self.said, "the first records")

    def listen(self, master):
        try:
            while more := os.read(master, 1000):
                self.said += more
        except OSError:  # nobody has the other end any more
            pass
        os.close(master)

    def end(self):
        answer, _ = self.process.communicate(timeout=100)
        self.reader.join()
        assert answer, self.said
        return self.process.returncode, json.loads(answer)


def found(answer):
    return sorted((f["finding"], f.get("key"), f.get("columns")) for f in answer["findings"])


def cut(world, partition, first):
    """As retention does: the built-in log's partition begins there."""
    with connect_sqlite(world.log.path) as db:
        db.execute(f"delete from leat_records_{partition} where offset < {first}")
        db.execute(f"update leat_partitions set first = {first} where partition = {partition}")


def delete_before(world, offset):
    """Of partition 0, as retention does; the process that has the log need not run."""
    if world.store.kind == "sqlite":
        return cut(world, 0, offset)
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.delete_records([TopicPartition(world.name, 0, offset)]).values():
        future.result(60)


def lines(world, name, items):
    path = world.directory / name
    path.write_text("".join(json.dumps({"method": method, "path": f"/apps/{app}/things/{ident}", "body": body}) + "\n"
                            for method, app, ident, body in items))
    return str(path)


def start_send(world, leat, path):
    return subprocess.Popen([world.program, "send", path, "--url", world.url(leat), "--config", world.config_path],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def change(world, app, sql):
    """In the shard that has the tenant's rows."""
    for shard in world.shard_names:
        if world.rows(f"select 1 from things where app = {app}", [shard]):
            with world.db(shard) as db:
                db.execute(sql.replace("leat.", "leat." if world.store.kind == "postgres" else "leat_"))
            return shard
    raise AssertionError(f"no shard has tenant {app}")


def value(world, app, ident, column="n"):
    rows = world.rows(f"select {column} from things where app = {app} and id = {ident}")
    return rows[0][0] if rows else None


@pytest.fixture
def world(make_world):
    world = make_world(table_sql={"postgres": f"{TABLE}; {SHAPED}", "sqlite": TABLE}, route=ROUTE, apply={"compact_every": "1h"})
    world.init()
    return world


@both
def test_what_is_applied_is_proved_and_what_is_lost_is_named(world):
    """One life of a pipeline: written to while it is verified, with more keys than the memory holds; then one plant after the
    other, and last a worker's progress that is gone."""
    leat = world.start("run")
    shaped = {"prices": [1.5], "cost": 1.5, "took": "1.4 s", "grade": "b"} if world.store.kind == "postgres" else {}
    sending = start_send(world, leat, lines(world, "many", [("PUT", i % 40, i, {"n": 1, "s": "é" * 20}) for i in range(KEYS)]
                                            + [("PATCH", 1, i % 50 * 40 + 1, {"n": 1, "last": i}) for i in range(2000)]))
    for _ in range(2):
        assert verify(world)["findings"] == []
    assert sending.wait(60) == 0
    with world.client(leat) as http:
        for method, path, body in (("PATCH", "1/things/90001", {"n": 2}), ("PUT", "1/things/90002", {"s": "bad"}),
                                   ("PUT", "1/things/90003", {"s": "a"}), ("DELETE", "1/things/90003", None),
                                   ("PATCH", "1/things/90004", {"n": 3}), ("PUT", "1/things/90006", shaped)):
            assert http.request(method, f"/apps/{path}", json=body).status_code == 202
        for _ in range(3):  # one effect
            assert http.patch("/apps/1/things/90005", json={"n": 1}, headers={"idempotency-key": "once"}).status_code == 202
    wait_until(lambda: verify(world)["records"]["waiting"] == 0, "all to be applied")

    whole = verify(world, "--memory", "256KiB")
    assert whole["records"] == {**dict.fromkeys(whole["records"], 0), "applied": KEYS + 2008, "dead_letter": 1}
    keys = whole["keys"]
    assert keys["all"] == keys["proved"] == KEYS + 6, keys
    assert whole["walks"] > 1 and whole["columns"] > 2 * KEYS
    sample = verify(world, "--sample", "10")
    assert 0 < sample["keys"]["all"] < KEYS / 2 and 0 < sum(sample["records"].values()) < KEYS
    assert verify(world, "--tenant", "1", "--since", "1h")["keys"]["all"] < 200
    # What comes after the range is read while a snapshot is open: no pace is kept there, or this took minutes.
    begun = verify(world, "--partition", "0", "--to", "50", "--pace", "1")
    assert begun["keys"]["proved"] == begun["keys"]["all"] > 0 and whole["records"]["applied"] > 1000
    text = world.leat("verify").stdout
    assert f"{KEYS + 2008} applied, 1 dead letter" in text and text.endswith("nothing is lost or doubled\n"), text

    # A row that another program has changed, one that it has deleted, one that it has made again.
    change(world, 1, "update things set n = n + 1, s = 'b' where app = 1 and id = 90001")
    change(world, 1, "delete from things where app = 1 and id = 90004")
    change(world, 1, "insert into things (app, id) values (1, 90003)")
    assert found(verify(world, code=3)) == [("row_differs", "1/90001", "n"), ("row_missing", "1/90004", None),
                                            ("row_not_deleted", "1/90003", None)]
    assert found(verify(world, "--leave-out", "things.n", code=3)) == [("row_missing", "1/90004", None), ("row_not_deleted", "1/90003", None)]
    change(world, 1, "update things set n = n - 1 where app = 1 and id = 90001")
    change(world, 1, "insert into things (app, id, n) values (1, 90004, 3)")
    change(world, 1, "delete from things where app = 1 and id = 90003")
    verify(world)

    change(world, 1, "delete from leat.dead_letters")
    gone = verify(world, code=3)
    assert found(gone) == [("dead_letter_gone", "1/90002", None)] and gone["records"]["removed"] == 1
    verify(world, "--accept-removed")

    # The batch with the last write is forgotten: a worker would apply it again.
    with world.client(leat) as http:
        assert http.patch("/apps/1/things/90001", json={"n": 10}).status_code == 202
    wait_until(lambda: value(world, 1, 90001) == 12, "the last write")
    leat.kill()
    shard = change(world, 1, "delete from leat.progress where seq = (select max(seq) from leat.progress as p"
                             " where p.source = leat.progress.source and p.partition = leat.progress.partition)"
                   if world.store.kind == "postgres" else
                   "delete from leat_progress where seq = (select max(seq) from leat_progress as p"
                   " where p.source = leat_progress.source and p.partition = leat_progress.partition)")
    lost = verify(world, "--accept-removed", code=3)
    assert ("progress_lost", "1/90001", "n") in found(lost) and lost["records"]["waiting"] > 0
    assert {kind for kind, _, _ in found(lost)} <= {"progress_lost", "dead_letter_gone"}

    partition = world.rows("select max(partition) from leat.partitions", [shard])[0][0]
    with world.db(shard) as db:
        prefix = "leat." if world.store.kind == "postgres" else "leat_"
        db.execute(f"delete from {prefix}partitions where partition = {partition}")
    assert ("no_progress", None, None) in found(verify(world, "--limit", "100000", code=3))

    if world.store.kind == "sqlite":  # the log loses its beginning while it is walked
        walks = Walk(world, "--partition", "0", "--memory", "64KiB", "--pace", "2000")
        cut(world, 0, 2)
        code, answer = walks.end()
        assert code in (0, 3), answer
        assert answer["partitions_cut"] == 1 and answer["walks"] > 1, answer


@pytest.mark.parametrize("backend", ["built-in"], indirect=True)
def test_what_the_range_does_not_say_is_not_claimed(world):
    """The log begins after its first record: of a counter nobody knows where it began, of a value that was set all is known."""
    leat = world.start("run")
    with world.client(leat) as http:
        offsets = [(a["partition"], a["offset"]) for a in
                   (http.patch("/apps/1/things/1", json={"n": 1, "s": str(i)}).json() for i in range(4))]
    wait_until(lambda: value(world, 1, 1) == 4, "the writes")
    assert leat.terminate() == 0
    (partition, first), last = offsets[0], offsets[-1][1]
    assert verify(world)["keys"]["proved"] == 1
    part = verify(world, "--partition", str(partition), "--from", str(first + 1))
    assert part["keys"]["in_part"] == 1 and part["columns"] == 1 and part["records"]["applied"] == last - first
    cut(world, partition, first + 2)
    rest = verify(world)
    assert rest["partitions_cut"] == 1 and rest["keys"]["in_part"] == 1 and sum(rest["records"].values()) == last - first - 1
    change(world, 1, "update things set n = 77 where id = 1")
    verify(world)
    change(world, 1, "update things set s = 'x' where id = 1")
    assert found(verify(world, code=3)) == [("row_differs", "1/1", "s")]
    # A write whose idempotency key the shard may have forgotten: it has an effect, or none, and a PUT says all again.
    leat = world.start("run")
    with world.client(leat) as http:
        def write(method, body, **headers):
            return http.request(method, "/apps/1/things/2", json=body, headers=headers).json()
        sent = []
        for _ in range(2):
            sent.append(write("PUT", {"n": 1}, **{"idempotency-key": "k"}))
            write("PATCH", {"n": 1})
        late = next((ident, a) for ident in range(3, 30) for a in [http.patch(f"/apps/1/things/{ident}", json={"n": 1}).json()]
                    if a["partition"] != partition)
        assert http.patch(f"/apps/1/things/{late[0]}", json={"n": 1}).status_code == 202
        wait_until(lambda: value(world, 1, 2) == 3 and value(world, 1, late[0]) == 2, "the writes")
        with connect_sqlite(world.log.path) as db:
            db.execute(f"update leat_records_{sent[0]['partition']} set accepted_ms = accepted_ms - 90000000"
                       f" where offset = {sent[0]['offset']}")
            db.execute(f"update leat_records_{late[1]['partition']} set accepted_ms = accepted_ms + 3600000"
                       f" where offset = {late[1]['offset']}")
        verify(world, "--leave-out", "s", "--until", "1ms")  # of a key whose first write is later than the rest not all is known
        change(world, 1, "update things set n = 2 where id = 2")
        assert verify(world, "--leave-out", "s")["keys"]["proved"] == 1  # the other one
        write("PUT", {"n": 7})
        wait_until(lambda: value(world, 1, 2) == 7, "the PUT")
    assert leat.terminate() == 0
    change(world, 1, "update things set n = 3 where id = 2")
    assert ("row_differs", "1/2", "n") in found(verify(world, code=3))
    for arguments, words in ((["--from", "1"], "--partition N"), (["--sample", "0"], "percentage"), (["--memory", "1KiB"], "at least 64KiB"),
                             (["--since", "soon"], "--since must be")):
        done = world.leat("verify", *arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr


@pytest.mark.parametrize("backend", ["built-in"], indirect=True)
def test_a_repeat_of_a_write_before_the_range_is_not_claimed(world):
    """It has no effect, but that is known only to whoever has read the first one: without that it has one, or none."""
    def write(http, n, **headers):
        answer = http.put("/apps/1/things/1", json={"n": n}, headers=headers).json()
        return answer["partition"], answer["offset"]

    leat = world.start("run")
    with world.client(leat) as http:
        write(http, 1, **{"idempotency-key": "k"})
        write(http, 2)
        partition, again = write(http, 1, **{"idempotency-key": "k"})
        wait_until(lambda: value(world, 1, 1) == 2, "the writes")
    assert leat.terminate() == 0
    assert verify(world)["keys"]["proved"] == 1
    verify(world, "--partition", str(partition), "--from", str(again))
    cut(world, partition, again)
    verify(world)
    leat = world.start("run")
    with world.client(leat) as http:
        write(http, 3)
        wait_until(lambda: value(world, 1, 1) == 3, "the PUT")
    assert leat.terminate() == 0
    verify(world)
    change(world, 1, "update things set n = 4 where id = 1")  # what came behind it is known
    assert found(verify(world, code=3)) == [("row_differs", "1/1", "n")]


@both
def test_what_retention_deletes_meanwhile_is_no_finding(make_world):
    """The records that a walk is about to read are deleted: it goes on behind them, says how many are gone, and claims of the rows
    only what the rest says; what is wrong by that is found."""
    world = make_world(shards=1, partitions=1, table_sql=TABLE, route=ROUTE)
    world.init()
    leat = world.start("run")
    count, kept = 8000, 1000  # more than a client fetches in advance
    items = [("PATCH", 1, i % 50, {"n": 1, "s": f"{i} " + "x" * 1000}) for i in range(count)]
    assert start_send(world, leat, lines(world, "many", items)).wait(120) == 0
    wait_until(lambda: world.rows("select sum(n) from things")[0][0] == count, "all writes")
    assert leat.terminate() == 0

    def walk_while_deleting(offset):
        walk = Walk(world, "--pace", "2000")
        delete_before(world, offset)
        return walk.end()

    code, answer = walk_while_deleting(count - kept)
    assert code == 1 and answer["findings"] == [], answer
    gone = answer["offsets_gone"]
    assert 0 < gone < count - kept and answer["records"]["applied"] + gone == count, answer
    keys = answer["keys"]  # of those without a write in the rest nothing is known
    assert keys["proved"] == keys["waiting"] == 0 < keys["in_part"] and keys["all"] == keys["in_part"] + keys["undecided"], answer

    rest = verify(world)
    assert rest["offsets_gone"] == 0 and rest["partitions_cut"] == 1 and rest["records"]["applied"] == kept
    change(world, 1, "update things set s = 'other'")
    wrong = verify(world, code=3)
    assert wrong["found"]["row_differs"] == rest["keys"]["all"] and {f["columns"] for f in wrong["findings"]} == {"s"}, wrong


@both
def test_what_a_control_has_skipped_that_is_over_is_not_claimed(make_world):
    """Its writes had an effect or none. Those after its end say what the row is; and without the shard's note of it verify is wrong,
    so the note is what counts."""
    world = make_world(shards=1, table_sql=TABLE, route=ROUTE)
    world.init()
    leat = world.start("run")
    noted = "leat.ended_controls" if world.store.kind == "postgres" else "leat_ended_controls"
    with world.client(leat) as http:
        def write(method, ident, body):
            assert http.request(method, f"/apps/7/things/{ident}", json=body).status_code == 202
        write("PUT", 1, {"n": 1})
        write("PUT", 2, {"n": 1})
        wait_until(lambda: value(world, 7, 2) == 1, "both rows")
        assert world.leat("control", "block", "--tenant", "7", "--for", "1h", "--keep", "0").returncode == 0
        wait_until(lambda: world.metric(leat, "leat_controls_active") == 1, "the worker to know of it")
        write("PATCH", 1, {"n": 1})
        write("PATCH", 2, {"n": 1})
        wait_until(lambda: world.metric(leat, "leat_records_skipped_by_control_total") == 2, "both to be skipped")
        assert verify(world)["keys"]["undecided"] == 2
        assert world.leat("control", "unblock", "--tenant", "7").returncode == 0
        wait_until(lambda: world.metric(leat, "leat_controls_active") == 0, "the worker to know of that")
        over = verify(world)
        assert over["findings"] == [] and over["keys"]["undecided"] == 2, over

        # As if that had been long ago: what is written now is known, and what was written then is missing.
        change(world, 7, {"postgres": f"update {noted} set until = until - interval '1 day'",
                          "sqlite": f"update {noted} set until_ms = until_ms - 86400000"}[world.store.kind])
        write("PUT", 1, {"n": 5})
        wait_until(lambda: value(world, 7, 1) == 5, "the write")
        assert found(verify(world, code=3)) == [("row_differs", "7/2", "n")]
