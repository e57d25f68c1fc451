"""`leat dead list --held`, `leat dead retry` and `leat dead discard`: keys whose records are kept in order until they can be applied."""
import json

import psycopg
import pytest

PARENTS = ("create table parents (id int primary key); create table things (id int primary key, parent int references parents,"
           " n int not null default 0, seen jsonb not null default '[]')")
ROUTE = {"path": "/things/{id}", "table": "things", "columns": {"n": "add", "seen": "append"}}


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def sized(data):
    return b"\x00" if data is None else varint(len(data) + 1) + data


def kept(offset, key, body, op="patch"):
    """One record as leat.parked_keys has it (src/record/chunk.h), in a zstd frame with one block that is not compressed."""
    header = varint(2) + b"op" + sized(op.encode())
    raw = (varint(offset) + varint(2 * 1_700_000_000_000) + varint(0) + sized(key.encode())
           + sized(None if body is None else json.dumps(body).encode()) + varint(len(header)) + header)
    frame = (b"\x28\xb5\x2f\xfd\xa0" + len(raw).to_bytes(4, "little") + (1 | len(raw) << 3).to_bytes(3, "little") + raw)
    return b"\x01" + varint(1) + varint(len(raw)) + frame


@pytest.fixture
def world(make_world):
    world = make_world(shards=1, partitions=1, table_sql=PARENTS, route=ROUTE)
    world.init()
    return world


def hold(world, key, *records, table="public.things"):
    """`records`: (offset, body), or (offset, body, operation)."""
    with psycopg.connect(world.dsns["a"]) as db:
        for number, (offset, body, *op) in enumerate(records):
            values = [offset, kept(offset, key, body, *op)]
            if number == 0:
                db.execute("select leat.hold(%s, 0, hashtext(%s), %s, %s, '23503', 'no parent', %s, 7, 1, %s)",
                           [world.source_id(), key, table, key.encode(), *values])
            else:
                db.execute("select leat.keep_held(%s, 0, array[hashtext(%s)::bigint], array[%s::bigint], array[7::bigint], 1, array[%s])",
                           [world.source_id(), key, *values])


def dead(world, *arguments, code=0):
    done = world.leat("dead", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(n, parent=None):
    return {"n": n, "seen": n, **({"parent": parent} if parent else {})}


def things(world):
    return world.rows("select id, parent, n, seen from things order by id")


def held(world):
    return [(row["key"], row["first_offset"], row["records"], row["tries"])
            for row in map(json.loads, dead(world, "list", "--held", "--json").splitlines())]


def test_held_keys_are_listed(world):
    assert dead(world, "list", "--held") == "no key is held\n"
    hold(world, "7", (10, write(1, 5)), (12, write(2)))
    hold(world, "8", (11, write(1, 6)))
    text = dead(world, "list", "--held", "--limit", "1")
    assert text.startswith("shard a, partition 0: key 7 of public.things is held since ")
    assert ", with 2 records from offset 10 on; refused at " in text and text.endswith("(23503): no parent\n") and text.count("\n") == 1
    assert held(world) == [("7", 10, 2, 0), ("8", 11, 1, 0)]
    assert dead(world, "list") == "no dead letters\n"


def test_a_retry_applies_in_order_what_the_database_takes(world):
    """The key with a missing parent stays held; the other is free, with the effect of all of its records in their order."""
    hold(world, "7", (10, write(1, 5)), (12, write(2)), (13, None, "delete"), (14, write(3, 5)), (15, write(4)))
    hold(world, "8", (11, write(1, 6)))
    world.rows("insert into parents values (5) returning id")
    said = dead(world, "retry", code=3)
    assert "key 7 of public.things: 5 records applied, no longer held\n" in said
    assert "key 8 of public.things: 0 records applied; held, as offset 11 is refused (23503): insert or update on table" in said
    assert things(world) == [(7, 5, 7, [3, 4])]
    assert held(world) == [("8", 11, 1, 1)]
    world.rows("insert into parents values (6) returning id")
    assert "1 record applied, no longer held" in dead(world, "retry", "--key", "08")
    assert things(world) == [(7, 5, 7, [3, 4]), (8, 6, 1, [1])]
    assert dead(world, "retry") == "no key is held\n"
    assert dead(world, "retry", "--key", "8") == "it is not held\n"


def test_a_retry_goes_as_far_as_the_first_record_that_is_refused(world):
    """What is before it is applied, once; it and what follows stay, however many they are."""
    hold(world, "7", *[(offset, {"late" if offset == 1500 else "n": 1}) for offset in range(100, 2700)])
    said = dead(world, "retry", code=3)
    assert "key 7 of public.things: 1400 records applied; held, as offset 1500 is refused (by leat): " in said
    assert [row[2] for row in things(world)] == [1400]
    assert held(world) == [("7", 1500, 1200, 1)]
    with psycopg.connect(world.dsns["a"]) as db:
        db.execute("alter table things add late int")
    assert "1200 records applied, no longer held" in dead(world, "retry")
    assert world.rows("select n, late from things") == [(2599, 1)]


def test_records_that_make_no_sense_are_refused_by_leat(world):
    hold(world, "7", (10, {"n": 1}), (11, {"nothing": 1}))
    said = dead(world, "retry", code=3)
    assert "1 record applied; held, as offset 11 is refused (by leat): " in said and "nothing" in said
    assert held(world) == [("7", 11, 1, 1)]


def test_a_key_is_discarded(world):
    """Its records become dead letters, with the reason; with a limit the first ones do, and the rest can be applied."""
    hold(world, "7", (10, write(1, 5)), (12, write(2)), (13, write(3)))
    assert "leat dead discard: --key is needed" in dead(world, "discard", code=2)
    assert "key 7 of public.things: 1 record given up, still held\n" == dead(world, "discard", "--key", "7", "--limit", "1")
    assert "2 records applied, no longer held" in dead(world, "retry", "--key", "7")
    assert things(world) == [(7, None, 5, [2, 3])]
    hold(world, "8", (20, write(1, 5)), (21, write(2)))
    assert "2 records given up, no longer held" in dead(world, "discard", "--key", "8", "--table", "things")
    assert world.rows("select \"offset\", convert_from(key, 'UTF8'), op, sqlstate, message from leat.dead_letters order by 1") == [
        (10, "7", "patch", "23503", "no parent"), (20, "8", "patch", "23503", "no parent"),
        (21, "8", "patch", None, "its key was held and discarded: no parent")]
    assert len(things(world)) == 1 and held(world) == []


def test_a_retry_that_cannot_be_done_changes_nothing(world):
    """A locked row, or what is kept is damaged: an error, the other keys are tried, and it can be done later."""
    hold(world, "7", (10, write(1)))
    hold(world, "8", (11, write(1)))
    with psycopg.connect(world.dsns["a"]) as db:
        db.execute("update leat.parked_keys set record = substr(record, 1, 20) where \"offset\" = 10")
    said = dead(world, "retry", code=1)
    assert "leat dead retry: shard a: offset 10: " in said and "key 8 of public.things: 1 record applied, no longer held" in said
    assert held(world) == [("7", 10, 1, 0)]
    assert "there is no table" not in dead(world, "retry", "--key", "7", "--table", "nowhere", code=1)
    assert "leat dead retry: --table and --route belong to --key" in dead(world, "retry", "--table", "things", code=2)


def test_a_deferred_constraint_is_a_refusal_too(world):
    """It is refused at the commit."""
    with psycopg.connect(world.dsns["a"]) as db:
        db.execute("alter table things alter constraint things_parent_fkey deferrable initially deferred")
    hold(world, "7", (10, write(1)), (11, write(2, 5)))
    said = dead(world, "retry", code=3)
    assert "1 record applied; held, as offset 11 is refused (23503): " in said and "database " not in said
    world.rows("insert into parents values (5) returning id")
    assert "1 record applied, no longer held" in dead(world, "retry")
    assert things(world) == [(7, 5, 3, [1, 2])]
