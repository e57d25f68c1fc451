"""routes[].on_refused: a refused record that is held keeps its row's writes back, in order, and nothing else; one that stops is tried
for as long as it is refused. Neither is ever a dead letter."""
import json
import threading

import pytest
from confluent_kafka import Producer

from lib.forwarder import Forwarder
from lib.harness import wait_until
from lib.standby import Standby

KEYS, ORPHANS = 300, 6  # every 50th key has no parent
PARENT, MISSING = 1, 2
CHILDREN = """create table parents (id int primary key); insert into parents values (1);
              create table children (id int primary key, parent int references parents (id), n int not null default 0,
                                     list jsonb not null default '[]')"""
ROUTE = {"path": "/children/{id}", "table": "children", "columns": {"n": "add", "list": "append"}}


class Traffic:
    """Writes to every key, round after round in one order; the list of a row shows the order of its writes."""

    def __init__(self, world):
        self.world = world
        self.rounds = 0
        self.stopping = threading.Event()
        self.producer = Producer({"bootstrap.servers": world.brokers, "linger.ms": 5})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.wait(0.05):
            for key in range(KEYS):
                body = {"n": 1, "list": self.rounds, "parent": MISSING if is_orphan(key) else PARENT}
                self.producer.produce(self.world.name, key=str(key), value=json.dumps(body), partition=0,
                                      headers={"op": "patch", "traceparent": f"00-{self.rounds}"})
            self.rounds += 1
            self.producer.flush(30)

    def stop(self):
        """The number of rounds."""
        self.stopping.set()
        self.thread.join()
        assert self.producer.flush(30) == 0
        return self.rounds


def is_orphan(key):
    return key % (KEYS // ORPHANS) == 7


@pytest.fixture
def world_of(make_world):
    def make(on_refused, patience="0s", **settings):
        world = make_world(shards=1, partitions=1, table_sql=CHILDREN, route={**ROUTE, "on_refused": on_refused},
                           apply={"compact_every": "200ms", "patience": patience}, **settings)
        world.init()
        return world

    return make


def one(world, sql):
    ((value,),) = world.rows(sql)
    return value


def held(world):
    return one(world, "select count(*) from leat.held")


def kept(world):
    return one(world, "select count(*) from leat.parked_keys")


def rows_with(world, n):
    return one(world, f"select count(*) from children where n = {n}")


def applied(world):
    """Rounds that all keys with a parent have had."""
    return one(world, f"select case when count(*) = {KEYS - ORPHANS} then min(n) else 0 end from children where parent = {PARENT}")


def the_parents_come(world):
    with world.db("a") as db:
        db.execute("insert into parents values (%s)", [MISSING])


def status(world, keys, records):
    """It is shown, and is no trouble."""
    done = world.leat("status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"    {keys} keys are held with {records} records, the first for " in done.stdout
    assert " MiB of 1024.0 MiB: leat dead list --held\n" in done.stdout
    (shard,) = json.loads(world.leat("status", "--json").stdout)["shards"]
    assert (shard["held_keys"]["keys"], shard["held_keys"]["records"]) == (keys, records)
    assert shard["held_keys"]["seconds"] > 0 and shard["held_keys"]["reason"].startswith("23503: ")


def retry(world):
    """Until no key is held: one may be refused, or have its turn, beside it."""
    def is_done():
        done = world.leat("dead", "retry")
        assert done.returncode in (0, 3), done.stdout + done.stderr
        return held(world) == 0

    wait_until(is_done, "every key to be let go")


def expect_all(world, rounds):
    """Every record of every key once and in its order, none kept, parked or given up."""
    wait_until(lambda: rows_with(world, rounds) == KEYS, "all, nothing lost and nothing doubled")
    assert {tuple(values) for (values,) in world.rows("select list from children")} == {tuple(range(rounds))}
    assert (held(world), kept(world)) == (0, 0)
    assert one(world, "select count(*) from leat.dead_letters") == 0


def test_rows_without_their_parent_are_held_and_the_others_go_on(world_of):
    """Two percent of the writes: the others are applied, none waits for patience or the guard, also after a kill in the middle; a
    retry once the parents are there applies what is kept, in order."""
    world = world_of("hold")
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: held(world) == ORPHANS and applied(world) > 20, "the others to go on")
    worker.kill()
    passed = applied(world)
    again = world.start("apply")
    wait_until(lambda: applied(world) > passed + 20, "the others to go on after the kill")
    rounds = traffic.stop()
    wait_until(lambda: applied(world) == rounds and kept(world) == rounds * ORPHANS, "all to be applied or kept")
    assert held(world) == ORPHANS and rows_with(world, rounds) == KEYS - ORPHANS
    assert world.rows("select distinct sqlstate from leat.held") == [("23503",)]
    assert world.metric(again, "leat_tables_stopped") == 0
    wait_until(lambda: world.metric(again, "leat_held_keys") == ORPHANS, "the metric")
    assert world.metric(again, "leat_records_kept_total") > 0 and world.metric(again, "leat_keys_held_total") == 0
    worker.wait_for("key held: its records are kept in the shard from now on", count=ORPHANS)
    status(world, ORPHANS, rounds * ORPHANS)
    the_parents_come(world)
    retry(world)
    expect_all(world, rounds)
    wait_until(lambda: world.metric(again, "leat_held_keys") == 0, "the metric, although none of them is written again")
    assert again.terminate() == 0


def test_a_retry_beside_new_writes_keeps_the_order(world_of):
    """Keys are let go while their next records arrive; what follows is written after what was kept."""
    world = world_of("hold")
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: held(world) == ORPHANS and applied(world) > 10, "keys to be held")
    the_parents_come(world)
    retry(world)
    wait_until(lambda: applied(world) > traffic.rounds - 5, "the worker to follow")
    retry(world)  # a record that was refused before the parents came may have been held after them
    rounds = traffic.stop()
    wait_until(lambda: applied(world) == rounds, "the others")
    retry(world)
    expect_all(world, rounds)
    assert worker.terminate() == 0


def test_the_owner_lets_rows_go_when_their_parents_come(world_of):
    """While there is patience nobody need do anything: what is kept is applied in order beside new writes, also after a kill."""
    world = world_of("hold", patience="1h")
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: held(world) == ORPHANS and applied(world) > 20, "the others to go on")
    worker.kill()
    again = world.start("apply")
    wait_until(lambda: world.metric(again, "leat_held_keys") == ORPHANS, "the held keys to be known")
    the_parents_come(world)
    wait_until(lambda: held(world) == 0, "every key to be let go")
    rounds = traffic.stop()
    expect_all(world, rounds)
    wait_until(lambda: world.metric(again, "leat_held_keys") == 0, "the metric")
    assert world.metric(again, "leat_keys_let_go_total") == ORPHANS and world.metric(again, "leat_records_retried_total") > ORPHANS
    assert again.terminate() == 0


def test_rows_that_are_refused_for_good_wait_for_a_person(world_of):
    """Patience with a row is for what time may mend: neither the owner nor a new one tries it again."""
    world = world_of("hold", patience="1h")
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})

    def write(value):
        producer.produce(world.name, key="7", value=json.dumps({"n": value}), partition=0, headers={"op": "patch"})
        assert producer.flush(30) == 0

    write(2_147_483_647)
    write(1)
    wait_until(lambda: world.rows("select n from children") == [(2_147_483_647,)] and held(world) == 1, "one to be refused")
    worker.kill()
    with world.db("a") as db:
        db.execute("update children set n = 0")
    again = world.start("apply")
    write(1)
    wait_until(lambda: kept(world) == 2, "what follows to be kept")
    wait_until(lambda: world.metric(again, "leat_held_keys") == 1, "the held key to be known")
    assert world.rows("select n from children") == [(0,)]
    assert "2 records applied, no longer held" in world.leat("dead", "retry").stdout
    assert world.rows("select n from children") == [(2,)]
    assert again.terminate() == 0


@pytest.fixture
def takes_over(world_of):
    """(a World, lead to its new primary), which lacks all that the old one commits after the first call of the latter."""
    with Standby(1) as standby:
        world = world_of("hold", patience="1h")
        primary, forwarder = world.dsns["a"], Forwarder(standby.primary_port)
        world.settings["shards"][0]["dsn"] = primary.replace(f"port={standby.primary_port}", f"port={forwarder.port}")
        world.write_config()

        def cut_off():
            standby.catch_up()
            standby.hear_no_more()
            yield
            standby.promote()
            forwarder.lead_to(standby.port)
            world.dsns["a"] = standby.dsn_of(primary)
            yield

        yield world, cut_off()
        world.dsns["a"] = primary
        forwarder.close()


def orphans(world):
    """Of each one that was written, its number of writes."""
    return [n for (n,) in world.rows(f"select n from children where parent = {MISSING}")]


@pytest.mark.alone
def test_a_failover_that_loses_how_rows_were_let_go(takes_over):
    """Parents come, what is kept is applied and so is what follows; a server takes over that knows nothing of that. There the rows are
    held as before and nothing of them is written until their parents come again. Then each has its writes once and in order."""
    world, take_over = takes_over
    worker = world.start("apply")
    traffic = Traffic(world)
    try:
        wait_until(lambda: held(world) == ORPHANS and applied(world) > 10, "keys to be held")
        next(take_over)
        the_parents_come(world)
        wait_until(lambda: held(world) == 0, "every key to be let go")
        passed = applied(world)
        wait_until(lambda: min(orphans(world)) > passed + 5, "what follows to be written")
        passed = applied(world)
        next(take_over)
        assert (held(world), orphans(world)) == (ORPHANS, [])
        wait_until(lambda: applied(world) > passed, "the others to come as far again")
        wait_until(lambda: kept(world) > ORPHANS * passed, "what follows to be kept again")
        assert (held(world), orphans(world)) == (ORPHANS, [])
        the_parents_come(world)
        retry(world)
    finally:
        rounds = traffic.stop()
    expect_all(world, rounds)
    assert worker.terminate() == 0


class Retries:
    """A person who retries all the time."""

    def __init__(self, world):
        self.world, self.codes = world, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            self.codes.append(self.world.leat("dead", "retry").returncode)

    def stop(self):
        self.stopping.set()
        self.thread.join()


def test_everybody_at_once(world_of):
    """Owners that are killed while they hold, keep and retry, another that takes over, a person who retries all the time, and parents
    that go and come: each row has its writes once and in order."""
    world = world_of("hold", patience="1h")
    workers = [world.start("apply"), world.start("apply")]
    traffic, person = Traffic(world), Retries(world)
    for number in range(4):
        wait_until(lambda: held(world) > 0, "keys to be held")
        the_parents_come(world)
        wait_until(lambda: held(world) == 0, "keys to be let go")
        workers[number % 2].kill()
        with world.db("a") as db:  # from now on their rows are refused again
            db.execute("begin; lock table children in share row exclusive mode;"
                       f"update children set parent = null where parent = {MISSING}; delete from parents where id = {MISSING}; commit")
        workers[number % 2] = world.start("apply")
    the_parents_come(world)
    rounds = traffic.stop()
    wait_until(lambda: applied(world) == rounds and held(world) == 0, "all of them")
    person.stop()
    expect_all(world, rounds)
    assert set(person.codes) <= {0, 1, 3} and 0 in person.codes
    assert [worker.terminate() for worker in workers] == [0, 0]


def child(world, producer, key, parent, n=1):
    producer.produce(world.name, key=str(key), value=json.dumps({"n": n, "list": n, "parent": parent}), partition=0, headers={"op": "patch"})
    assert producer.flush(30) == 0


def listed(world):
    (key,) = map(json.loads, world.leat("dead", "list", "--held", "--json").stdout.splitlines())
    return key


def troubles(world):
    (shard,) = json.loads(world.leat("status", "--json").stdout)["shards"]
    return {trouble["kind"]: trouble for trouble in shard["troubles"]}


def test_what_the_owner_leaves_to_people_has_the_reason_of_its_first_record(world_of):
    """One line says that it is left to people, and why is noted with the key: another record is the first by then than when it was held.
    Once that is given up, nothing is said of the next one."""
    world = world_of("hold", patience="1h")
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})
    child(world, producer, 7, MISSING)
    wait_until(lambda: held(world) == 1, "the key to be held")
    child(world, producer, 7, PARENT, n=2_147_483_647)  # too much, after the first
    child(world, producer, 7, PARENT, n=4)
    wait_until(lambda: kept(world) == 3, "all to be kept")
    assert listed(world)["sqlstate"] == "23503"
    the_parents_come(world)
    worker.wait_for("held key left to people")
    line = next(line for line in worker.text().splitlines() if "held key left to people" in line)
    assert 'key="7"' in line and "sqlstate=22003" in line and "offset=1 " in line
    wait_until(lambda: listed(world)["tries"] == 1, "the reason to be noted")
    key = listed(world)
    assert (key["records"], key["first_offset"], key["sqlstate"]) == (2, 1, "22003") and "out of range" in key["message"]
    assert "1 record given up, still held" in world.leat("dead", "discard", "--key", "7", "--limit", "1").stdout
    assert listed(world)["message"] is None and "not refused since" in world.leat("dead", "list", "--held").stdout
    assert world.rows("select \"offset\", sqlstate from leat.dead_letters") == [(1, "22003")]
    assert "1 record applied, no longer held" in world.leat("dead", "retry").stdout
    assert world.rows("select n, list from children") == [(5, [1, 4])]
    assert worker.terminate() == 0


def test_a_kept_record_that_cannot_be_read_is_told_and_waits_for_a_person(world_of):
    """Bytes that somebody has changed: what is kept before them is applied, a line names the place, the others go on, and after the
    patience the row is left to people. Once the bytes are right again a retry applies the rest."""
    world = world_of("hold", patience="15s")
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})
    child(world, producer, 7, MISSING)
    wait_until(lambda: held(world) == 1, "the key to be held")
    for n in (2, 3):
        child(world, producer, 7, MISSING, n=n)
    wait_until(lambda: kept(world) == 3, "all to be kept")
    flip = ("update leat.parked_keys set record = set_byte(record, octet_length(record) - 6, get_byte(record, octet_length(record) - 6) # 1)"
            " where \"offset\" = 1 returning 1")
    world.rows(flip)
    the_parents_come(world)
    worker.wait_for("what is kept of a held row cannot be read")
    assert "the record of a held key at offset 1 cannot be read: parked records are damaged" in worker.text()
    assert world.rows("select list from children") == [([1],)] and kept(world) == 2
    child(world, producer, 8, PARENT)
    wait_until(lambda: rows_with(world, 1) == 2, "others to go on")
    worker.wait_for("held key left to people")
    wait_until(lambda: "cannot be read" in (listed(world)["message"] or ""), "the reason to be noted")
    assert listed(world)["sqlstate"] is None and listed(world)["first_offset"] == 1
    assert one(world, "select count(*) from leat.dead_letters") == 0
    world.rows(flip)
    assert "2 records applied, no longer held" in world.leat("dead", "retry").stdout
    assert world.rows("select list from children order by id") == [([1, 2, 3],), ([1],)]
    assert worker.terminate() == 0


def test_a_subpartition_without_room_for_more_held_rows_says_so(make_world):
    """It has its share of its partition's places. What is refused then waits, under a name of its own; nothing is lost."""
    world = make_world(shards=1, partitions=1, table_sql=CHILDREN, route={**ROUTE, "on_refused": "hold"}, apply={"patience": "0s"})
    world.settings["log"]["subpartitions"] = 1
    world.write_config()
    world.init()
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})
    for key in range(300):
        producer.produce(world.name, key=str(key), value=json.dumps({"n": 1, "parent": MISSING}), partition=0, headers={"op": "patch"})
    assert producer.flush(30) == 0
    wait_until(lambda: held(world) == 256, "a share to be held")
    worker.wait_for("no room for more of held rows")
    assert "held_keys=256 held_keys_max=4096 subpartition_keys=256 subpartition_keys_max=256" in worker.text()
    wait_until(lambda: world.metric(worker, "leat_held_full_subpartitions") == 1, "the metric")
    assert world.metric(worker, "leat_held_keys_limit") == 4096
    wait_until(lambda: "held_full" in troubles(world), "the status")
    assert "violates foreign key" in troubles(world)["held_full"]["words"] and "stalled" not in troubles(world)
    assert held(world) == 256
    the_parents_come(world)
    retry(world)
    wait_until(lambda: rows_with(world, 1) == 300, "all of them")
    wait_until(lambda: world.metric(worker, "leat_held_full_subpartitions") == 0, "the metric")
    assert (held(world), one(world, "select count(*) from leat.dead_letters")) == (0, 0)
    assert worker.terminate() == 0


def test_what_is_kept_has_its_room_and_what_finds_none_waits(world_of):
    """held_max is used up: one record is kept of the row, the next one stalls its subpartition, rows of others go on. A retry makes room."""
    world = world_of("hold")
    world.settings["shards"][0]["held_max"] = 1
    world.write_config()
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})
    child(world, producer, 7, MISSING)
    wait_until(lambda: kept(world) == 1 and world.metric(worker, "leat_kept_records") == 1, "the first one to be kept and counted")
    for n in (2, 3):
        child(world, producer, 7, MISSING, n=n)
    worker.wait_for("no room for more of held rows")
    assert "what is kept of held rows has used up its" in worker.text() and "shards[].held_max: 0.0 of 0.0 MiB" in worker.text()
    for key in range(100, 140):
        child(world, producer, key, PARENT)
    wait_until(lambda: rows_with(world, 1) >= 38, "others to go on")
    wait_until(lambda: "held_full" in troubles(world), "the status")
    (shard,) = json.loads(world.leat("status", "--json").stdout)["shards"]
    assert shard["held_keys"]["records"] == 1 and shard["held_keys"]["bytes"] > 1 == shard["held_keys"]["max_bytes"]
    assert world.metric(worker, "leat_kept_limit_bytes") == 1 and world.metric(worker, "leat_kept_bytes") == shard["held_keys"]["bytes"]
    assert kept(world) == 1 and one(world, "select count(*) from leat.dead_letters") == 0
    the_parents_come(world)
    retry(world)
    wait_until(lambda: world.rows("select list from children where id = 7") == [([1, 2, 3],)], "all in order")
    assert worker.terminate() == 0


def test_a_discarded_key_goes_on_with_its_next_record(world_of):
    world = world_of("hold")
    worker = world.start("apply")
    producer = Producer({"bootstrap.servers": world.brokers})

    def write(parent):
        producer.produce(world.name, key="7", value=json.dumps({"n": 1, "list": parent, "parent": parent}), partition=0,
                         headers={"op": "patch"})
        assert producer.flush(30) == 0

    write(MISSING)
    wait_until(lambda: held(world) == 1, "the key to be held")  # in one batch the two would be one write, with a parent
    write(PARENT)
    wait_until(lambda: kept(world) == 2, "both to be kept")
    done = world.leat("dead", "discard", "--key", "7")
    assert "2 records given up, no longer held" in done.stdout, done.stdout + done.stderr
    write(PARENT)
    wait_until(lambda: world.rows("select n, list from children") == [(1, [PARENT])], "the third")
    assert (held(world), kept(world), one(world, "select count(*) from leat.dead_letters")) == (0, 0, 2)
    assert worker.terminate() == 0


def test_a_record_that_stops_is_tried_until_it_is_taken(world_of):
    """No patience ends it, rows of other subpartitions go on, and all is applied in order once the parents are there."""
    world = world_of("stop")
    worker = world.start("apply")
    traffic = Traffic(world)
    wait_until(lambda: world.metric(worker, "leat_subpartitions_stalled") > 0 and traffic.rounds > 20, "records to stop")
    rounds = traffic.stop()
    wait_until(lambda: rows_with(world, rounds) >= KEYS * 0.9, "rows of other subpartitions")
    assert rows_with(world, rounds) < KEYS and held(world) == 0
    assert one(world, "select count(*) from leat.dead_letters") == 0
    the_parents_come(world)
    expect_all(world, rounds)
    assert worker.terminate() == 0


def test_a_sqlite_file_holds_rows_too(make_world):
    """With the built-in log: kept through a kill, refused again, then applied in order beside the process."""
    world = make_world(log="local", store="sqlite", shards=1, partitions=1, table_sql=CHILDREN,
                       route={**ROUTE, "columns": {"n": "add"}, "on_refused": "hold"}, apply={"patience": "0s"})

    def rows():
        return dict(world.rows("select id, n from children"))

    def held_and_kept():
        return world.rows("select (select count(*) from leat_held), (select count(*) from leat_parked_keys)")[0]

    def put(http, child, parent):
        assert http.patch(f"/children/{child}", json={"parent": parent, "n": 1}).status_code == 202

    leat = world.start("run")
    with world.client(leat) as http:
        put(http, 7, MISSING)
        wait_until(lambda: held_and_kept() == (1, 1), "the row to be held")
        for number in range(20):
            put(http, number, PARENT)
        wait_until(lambda: len(rows()) == 19 and held_and_kept() == (1, 2), "the others to go on")
    leat.kill()
    leat = world.start("run")
    with world.client(leat) as http:
        put(http, 7, PARENT)
        wait_until(lambda: held_and_kept() == (1, 3), "the next one to be kept after the kill")
        done = world.leat("dead", "retry")
        assert done.returncode == 3 and "held, as offset" in done.stdout, done.stdout + done.stderr
        assert "1 keys are held with 3 records" in world.leat("status").stdout
        with world.db("a") as db:
            db.execute("insert into parents values (?)", [MISSING])
        assert "3 records applied, no longer held" in world.leat("dead", "retry").stdout
        put(http, 7, PARENT)
    wait_until(lambda: rows() == {**dict.fromkeys(range(20), 1), 7: 4}, "all of them, once")
    assert held_and_kept() == (0, 0) and world.rows("select count(*) from leat_dead_letters") == [(0,)]
    assert leat.terminate() == 0
