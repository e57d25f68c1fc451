"""Looking in from outside: `leat check`, on a set-up that is well and on each that is not; `leat lag`; `leat status`."""

import json
import re
import subprocess
import time
import uuid

import psycopg
import pytest

from lib.harness import LEAT, key_of, wait_until

# ---- leat check ----


def check(world):
    """(exit code, {(check, shard): finding}) of `leat check --json`, once the text agrees."""
    done, text = world.leat("check", "--json"), world.leat("check")
    found = json.loads(done.stdout)
    assert done.returncode == text.returncode
    counted = [sum(f["result"] == r for f in found["checks"]) for r in ("failed", "warning", "skipped", "ok")]
    assert text.stdout.splitlines()[-1] == "{} failed, {} warnings, {} skipped, {} ok".format(*counted)
    assert [found["failed"], found["warnings"]] == counted[:2]
    return done.returncode, {(f["check"], f["shard"]): f for f in found["checks"]}


def faults(findings):
    return {k for k, f in findings.items() if f["result"] in ("failed", "warning")}


def on_shard(world, shard, *statements):
    with world.db(shard) as db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def expected(world):
    """The findings about this machine's own servers: a broker alone, and databases that may run without fsync."""
    code, findings = check(world)
    about_servers = {k for k in faults(findings) if k[0] in ("open files", "in-sync replicas", "fsync")}
    assert faults(findings) == about_servers
    assert code == (3 if any(findings[k]["result"] == "failed" for k in about_servers) else 0)
    return about_servers


def test_nothing_is_said_of_a_set_up_that_is_well(world, expected):
    """Each check is made, of each shard; the broker that is alone is a warning with reason and remedy."""
    _, findings = check(world)
    assert findings["in-sync replicas", None]["result"] == "warning"
    assert findings["in-sync replicas", None]["why"] and findings["in-sync replicas", None]["do"]
    for name in ("connection", "read-only", "connections", "own database", "schema leat", "tables", "tables alike", "privileges", "publications",
                 "parked records"):
        for shard in world.shard_names:
            assert findings[name, shard]["result"] == "ok" and findings[name, shard]["why"] is None
    for name in ("configuration", "Kafka", "topic", "compaction", "timestamps", "retention"):
        assert findings[name, None]["result"] == "ok"


def park_a_byte(world):
    world.settings["shards"][1].update(parked_max=4)
    on_shard(world, "b", "insert into leat.parked select source, partition, 0, 1, 9, 0, 5, 0, 1, '\\x010203'::bytea"
                         " from leat.partitions order by partition limit 1")


PROBLEMS = {
    "a compacted topic": (
        lambda w: w.log.alter(cleanup_policy="compact"), ("compaction", None), "failed", "cleanup.policy is compact"),
    "a short retention": (
        lambda w: w.log.alter(retention_ms="3600000"), ("retention", None), "warning", "retention.ms is 3600000"),
    "the writers' time": (
        lambda w: w.log.alter(message_timestamp_type="CreateTime"), ("timestamps", None), "warning", "is CreateTime"),
    "a table that is missing": (
        lambda w: on_shard(w, "b", "drop table subscriptions"), ("tables", "b"), "failed", "subscriptions"),
    "a table that differs": (
        lambda w: on_shard(w, "b", "alter table subscriptions add extra int"), ("tables alike", "b"), "failed", "extra"),
    "triggers that are not fired": (
        lambda w: on_shard(w, "a", f"alter database {w.name} set session_replication_role = replica"),
        ("triggers", "a"), "warning", "session_replication_role is replica"),
    "a short time limit": (
        lambda w: on_shard(w, "a", f"alter database {w.name} set idle_session_timeout = '10s'"),
        ("time limits", "a"), "warning", "idle_session_timeout = 10s"),
    "a database that takes no writes": (
        lambda w: on_shard(w, "a", f"alter database {w.name} set default_transaction_read_only = on"),
        ("read-only", "a"), "failed", "read-only"),
    "too few connections": (
        lambda w: w.settings["shards"][1].update(connections=1000), ("connections", "b"), "warning", "up to 1003"),
    "a publication of everything": (
        lambda w: on_shard(w, "a", "create publication everything for all tables"),
        ("publications", "a"), "warning", "leat.parked or leat.parked_keys is in everything"),
    "much that is parked": (
        park_a_byte, ("parked records", "b"), "warning", "5 records are parked, in 3 bytes; the fullest partition has 3 of its 2 bytes"),
    "a schema of another topic": (
        lambda w: on_shard(w, "b", "update leat.sources set topic_id = 'another'"),
        ("schema leat", "b"), "failed", "topic id"),
    "no schema at all": (
        lambda w: on_shard(w, "b", "drop schema leat cascade"), ("schema leat", "b"), "failed", "knows nothing of topic"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_has_its_line(world, expected, name):
    """The one problem is found, with its text, why it matters and the remedy; nothing else changes."""
    provoke, key, result, words = PROBLEMS[name]
    provoke(world)
    world.write_config()
    code, findings = check(world)
    assert faults(findings) == expected | {key}
    found = findings[key]
    assert found["result"] == result and words in found["what"] and found["why"] and found["do"]
    assert code == 3 or result == "warning"


def test_files_that_a_process_may_open(make_world):
    """Fewer than clients could take is a warning, fewer than leat itself needs is a failure."""
    world = make_world(log="local", shards=1)
    for limit, result in ((5000, "ok"), (1000, "warning"), (120, "failed")):
        done = subprocess.run(["prlimit", f"--nofile={limit}", str(LEAT), "check", "--json", "--config", str(world.config_path)],
                              capture_output=True, text=True, timeout=60)
        found = next(f for f in json.loads(done.stdout)["checks"] if f["check"] == "open files")
        assert found["result"] == result and f"may open {limit} files" in found["what"], found


def test_a_role_without_privileges(world, expected):
    """Only the missing privileges are named."""
    role = "r" + world.name
    try:
        on_shard(world, "a", f"create role {role} login", f"grant usage on schema leat to {role}",
                 f"grant select, insert, update, delete on all tables in schema leat to {role}",
                 f"grant select, insert on subscriptions to {role}")
        world.settings["shards"][0]["dsn"] += f" user={role}"
        world.write_config()
        code, findings = check(world)
        assert code == 3 and faults(findings) == expected | {("privileges", "a")}
        assert findings["privileges", "a"]["what"] == (
            f"role {role} lacks UPDATE, DELETE on public.subscriptions")
        for statement in findings["privileges", "a"]["do"].splitlines():
            on_shard(world, "a", statement)
        assert check(world)[1]["privileges", "a"]["result"] == "ok"
    finally:
        world.close()
        with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
            server.execute(f"drop role if exists {role}")


def test_the_function_by_which_answers_wait_for_the_disk(make_world):
    """Only where a shard has `commit: async`; everybody may call it unless somebody has revoked that."""
    world = make_world(shards=1)
    world.init()
    role = "r" + world.name
    try:
        on_shard(world, "a", f"create role {role} login", f"grant usage on schema leat to {role}",
                 f"grant select, insert, update, delete on all tables in schema leat, public to {role}")
        world.settings["shards"][0] |= {"commit": "async", "dsn": world.dsns["a"] + f" user={role}"}
        world.write_config()
        assert check(world)[1]["privileges", "a"]["result"] == "ok"
        on_shard(world, "a", """do $$ declare f regprocedure; begin
            for f in select oid from pg_proc where proname = 'pg_logical_emit_message' loop
                execute format('revoke execute on function %s from public', f);
            end loop; end $$""")
        code, findings = check(world)
        found = findings["privileges", "a"]
        assert code == 3 and found["result"] == "failed"
        assert found["what"].startswith(f"role {role} lacks EXECUTE on function pg_catalog.pg_logical_emit_message(boolean, text, text")
        world.settings["shards"][0]["commit"] = "sync"
        world.write_config()
        assert check(world)[1]["privileges", "a"]["result"] == "ok"
        world.settings["shards"][0]["commit"] = "async"
        world.write_config()
        assert found["do"].startswith("GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(")
        for statement in found["do"].splitlines():
            on_shard(world, "a", statement)
        assert check(world)[1]["privileges", "a"]["result"] == "ok"
    finally:
        world.close()
        with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
            server.execute(f"drop role if exists {role}")


def test_what_to_do_is_exact(make_world):
    """The statement or the setting that mends just this, with the role, database or route."""
    world = make_world(shards=1)
    world.init()
    dsn, role = world.dsns["a"], "r" + world.name

    def advice(name, change=""):
        world.settings["shards"][0]["dsn"] = dsn + change
        world.write_config()
        return check(world)[1][name, "a"]["do"]

    try:
        assert advice("connection", " user=nobody_here").startswith('CREATE ROLE "nobody_here" LOGIN;')
        assert advice("connection", " dbname=nothing_here").startswith('CREATE DATABASE "nothing_here";')
        on_shard(world, "a", f"create role {role} nologin")
        mine = f" user={role}"
        for name in ("connection", "schema leat", "privileges"):
            for statement in advice(name, mine).splitlines():
                on_shard(world, "a", statement)
        assert all(check(world)[1][name, "a"]["result"] == "ok" for name in ("connection", "schema leat", "tables", "privileges"))
        on_shard(world, "a", "alter table subscriptions enable row level security")
        statement = advice("tables", mine).partition(";")[0]
        assert statement == f'ALTER ROLE "{role}" BYPASSRLS'
        on_shard(world, "a", statement)
        assert check(world)[1]["tables", "a"]["result"] == "ok"
    finally:
        world.close()
        with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
            server.execute(f"drop role if exists {role}")


BESIDES = {
    "table_sql": """
        create schema kinds;
        create type kinds.mood as enum ('well', 'unwell');
        create schema aids;
        create schema shut;
        create function shut.checked(int) returns boolean immutable language sql as 'select true';
        create function aids.given() returns int language sql as 'select 1';
        create function aids.folded(text) returns text immutable language sql as 'select lower($1)';
        create function shut.small(int) returns boolean immutable language sql as 'select true';
        create function aids.unused() returns int language sql as 'select 1';
        create sequence aids.numbers;
        create sequence aids.unused_numbers;
        create domain public.size as int default nextval('aids.numbers') check (shut.small(value));
        create table things (
            id int primary key, v text, n bigserial, o bigint generated by default as identity,
            p bigint generated always as identity, m kinds.mood, ms kinds.mood[], g int default aids.given(), s public.size,
            check (shut.checked(id)));
        create index on things (aids.folded(v));
        revoke execute on all functions in schema aids, shut from public""",
    "route": {"path": "/things/{id}", "table": "things"}, "shards": 1, "partitions": 1}


def test_what_a_write_uses_besides_the_table(make_world):
    """Sequences, functions and schemas that defaults, checks, domains, types and indexes need are named; a column that is
    always generated, and what no column uses, are not. Granted, the writes go through."""
    world = make_world(**BESIDES)
    world.init()
    role = "r" + world.name
    try:
        on_shard(world, "a", f"create role {role} login", f"grant usage on schema leat to {role}",
                 f"grant select, insert, update, delete on all tables in schema leat, public to {role}")
        world.settings["shards"][0]["dsn"] += f" user={role}"
        world.write_config()
        _, findings = check(world)
        assert findings["privileges", "a"]["what"] == (
            f"role {role} lacks USAGE on schema aids, kinds; USAGE on sequence aids.numbers, public.things_n_seq, public.things_o_seq; "
            "EXECUTE on function aids.folded(text), aids.given(), shut.checked(integer), shut.small(integer)")
        for statement in findings["privileges", "a"]["do"].splitlines():
            on_shard(world, "a", statement)
        assert check(world)[1]["privileges", "a"]["result"] == "ok"
        with world.client(world.start("run")) as http:
            assert http.put("/things/1", json={"v": "A", "m": "well", "ms": ["unwell"]}).status_code == 202
            assert http.patch("/things/2", json={"v": "B", "n": 7}).status_code == 202
        wait_until(lambda: world.rows("select count(*) from things") == [(2,)], "both rows")
    finally:
        world.close()
        with psycopg.connect(world.env["PG_DSN_1"], autocommit=True) as server:
            server.execute(f"drop role if exists {role}")


def test_what_does_not_answer_fails_alone(world, expected):
    """A shard that is down: its other checks are skipped, the other shard's and the topic's are made."""
    world.settings["shards"][1]["dsn"] += " port=1"
    world.write_config()
    code, findings = check(world)
    assert code == 3 and findings["connection", "b"]["result"] == "failed"
    assert {f["result"] for k, f in findings.items() if k[1] == "b" and k[0] != "connection"} == {"skipped"}
    assert findings["privileges", "a"]["result"] == "ok" and findings["compaction", None]["result"] == "ok"


def test_without_kafka_the_shards_are_looked_at(world):
    """When Kafka is down only the checks of the topic are skipped."""
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.write_config()
    code, findings = check(world)
    assert code == 3 and findings["Kafka", None]["result"] == "failed"
    assert {f["check"] for f in findings.values() if f["result"] == "skipped"} == {
        "topic", "compaction", "timestamps", "in-sync replicas", "message size", "retention"}
    assert all(findings["privileges", shard]["result"] == "ok" for shard in world.shard_names)


def test_a_topic_that_is_not_there(make_world):
    """Before `leat init`: the topic and schema checks advise to run it. A broken file is exit 2."""
    world = make_world(shards=1)
    code, findings = check(world)
    assert code == 3
    for key in (("topic", None), ("schema leat", "a")):
        assert findings[key]["result"] == "failed" and "leat init" in findings[key]["do"]
    world.config_path.write_text("shards: 1\n")
    assert world.leat("check").returncode == 2


# ---- leat lag ----


def lag(world, *arguments, code=0):
    done = world.leat("lag", "--json", *arguments)
    assert done.returncode == code, done
    return json.loads(done.stdout)


def test_lag_counts_what_no_worker_has_applied(world):
    """Without a worker every record is counted, where it is, and has an age; once all is applied it is 0, with the worker
    up and after it has gone."""
    empty = lag(world, "--max-seconds", "1")
    assert (empty["records"], empty["seconds"], empty["complete"], len(empty["partitions"])) == (0, 0, True, 4)
    edge = world.start("edge")
    with world.client(edge) as http:
        for _ in range(100):
            assert http.patch(key_of(uuid.uuid4(), uuid.uuid4()), json={"session_count": 1}).status_code == 202
    behind, ends = lag(world), world.log_ends()
    assert behind["records"] == 100 and behind["seconds"] > 0
    assert {p["partition"]: p["records"] for p in behind["partitions"]} == ends
    for shard in behind["shards"]:
        own = [p for p in behind["partitions"] if p["shard"] == shard["shard"]]
        assert shard["records"] == sum(p["records"] for p in own) > 0
        assert shard["seconds"] == max(p["seconds"] for p in own)
    text = world.leat("lag").stdout
    assert "all: 100 records at most" in text and len(re.findall(r"^\d+ ", text, re.M)) == 4
    apply = world.start("apply")
    wait_until(lambda: lag(world)["records"] == 0, "everything to be applied", every=0.5)
    # What the worker has told: nothing waits, so each shard has caught up; once it is gone nobody knows.
    wait_until(lambda: all((s["catch_up"]["seconds"], s["catch_up"]["never"]) == (0, False) for s in lag(world)["shards"]), "the report", every=0.5)
    assert apply.terminate() == 0
    done = lag(world, "--max-seconds", "1")
    assert all((s["catch_up"]["seconds"], s["culprits"]) == (None, []) for s in done["shards"])
    # A process that was gone without a word, half a minute ago.
    on_shard(world, "a", "insert into leat.workers (source, instance, host, pid, started_at, at, clock_ms, said) select id, gen_random_uuid(), 'h', 1,"
             " now(), clock_timestamp() - interval '30 s', 0, '{}' from leat.sources")
    assert re.search(r"shard a: .*\n    no process reports: the last was heard \d+ s ago\n", world.leat("lag").stdout)
    assert [s["heard"] is None or s["heard"] >= 30 for s in lag(world)["shards"]] == [True, True] and lag(world)["shards"][1]["heard"] is None
    assert (done["records"], done["seconds"]) == (0, 0)
    assert all(p["low"] == p["applied"] == p["end"] - 1 for p in done["partitions"])


def test_a_process_that_commits_otherwise_is_named(make_world):
    """Otherwise than the configuration of whoever asks says: in the text and in JSON, and it is no trouble."""
    world = make_world(shards=2)
    world.init()
    apply = world.start("apply")

    def shards():
        done = world.leat("status", "--json")
        assert done.returncode == 0, done.stdout
        return [(s["commit"], s["commit_differs"], [p["commit"] for p in s["processes"]]) for s in json.loads(done.stdout)["shards"]]

    wait_until(lambda: shards() == [("sync", False, ["sync"])] * 2, "the reports")
    assert "commit" not in world.leat("status").stdout
    world.settings["shards"][1]["commit"] = "async"
    world.write_config()
    assert shards() == [("sync", False, ["sync"]), ("async", True, ["sync"])]
    text = world.leat("status").stdout
    assert re.search(r"shard b: .*, commit: async\n(    .*\n)*    process \S+ \d+ has commit: sync, this configuration async\n", text), text
    assert text.endswith("all is well\n") and text.count("has commit:") == 1
    assert apply.terminate() == 0


def test_lag_over_the_bound_is_exit_3(world):
    """The age is that of the oldest record that is not applied: its accept time, however new the others are."""
    from confluent_kafka import Producer

    world.log.alter(message_timestamp_type="CreateTime")  # so that one can be an hour old
    producer = Producer({"bootstrap.servers": world.brokers})
    for ago_ms in (3600_000, 0):
        stamp = {"timestamp": int(time.time() * 1000) - ago_ms} if ago_ms else {}
        producer.produce(world.name, partition=0, key="1/1", value=b"{}", headers={"op": "patch"}, **stamp)
    producer.flush()
    found = lag(world, "--max-seconds", "3000", code=3)
    assert 3600 <= found["seconds"] < 7200 and found["records"] == 2
    assert lag(world, "--max-seconds", "7200")["records"] == 2


def test_lag_without_a_shard_is_not_told(world):
    """A shard that does not answer has its error and partitions whose lag is marked as unknown, the other its lag; exit 1,
    as without Kafka."""
    world.settings["shards"][1]["dsn"] += " port=1"
    world.write_config()
    found = lag(world, code=1)
    assert not found["complete"] and "error" in found["shards"][1] and found["shards"][0]["records"] == 0
    assert [(p["shard"], p["end"], p["records"]) for p in found["partitions"]] == [
        ("a", 0, 0), ("a", 0, 0), ("b", 0, None), ("b", 0, None)]
    text = world.leat("lag").stdout
    assert text.count(" unknown ") >= 2 and "shard b: unknown" in text and "what could be read: 0 records" in text
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.write_config()
    done = world.leat("lag", "--json")
    assert (done.returncode, done.stdout) == (1, "") and "Kafka" in done.stderr
    assert world.leat("lag", "--max-seconds", "x").returncode == 2


# ---- leat status ----


def status(world, code):
    done, text = world.leat("status", "--json"), world.leat("status")
    assert (done.returncode, text.returncode) == (code, code), done
    found = json.loads(done.stdout)
    assert found["well"] == (code == 0) == text.stdout.endswith("\nall is well\n")
    return found["log_error"], {s["shard"]: s for s in found["shards"]}


def test_status_says_who_works_and_what_is_unwell(world):
    """Well without work; unwell while records wait and nobody applies them; the worker is named in each shard it is
    connected to, and a dead letter is counted without being a trouble."""
    assert all(s["trouble"] is None and s["processes"] == [] and s["commit"] == "sync" for s in status(world, 0)[1].values())
    edge = world.start("edge")
    with world.client(edge) as http:
        for _ in range(50):
            assert http.patch(key_of(uuid.uuid4(), uuid.uuid4()), json={"session_count": 1}).status_code == 202
        with world.db("a") as db:
            db.execute("insert into leat.dead_letters (source, partition, \"offset\", message, accepted_at)"
                       " values (%s, 0, 0, 'for the test', now())", (world.source_id(),))
    shards = status(world, 3)[1]
    assert all("nobody applies" in s["trouble"] and s["records"] > 0 for s in shards.values())
    apply = world.start("apply")
    wait_until(lambda: lag(world)["records"] == 0, "everything to be applied", every=0.5)
    shards = status(world, 0)[1]
    assert [shards[s]["dead_letters"] for s in "ab"] == [1, 0]
    for shard in shards.values():
        assert [p["name"].split()[1] for p in shard["processes"]] == [str(apply.pid)]
        assert shard["processes"][0]["sessions"] >= 1 and shard["claims"] >= shard["partitions"] == 2


def test_status_of_what_does_not_answer(world):
    """A shard or Kafka that is down is unwell, the rest is shown; when nothing answers, nothing can be shown."""
    brokers = world.settings["log"]["kafka"]["brokers"]
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.write_config()
    log_error, shards = status(world, 3)
    assert log_error and all(s["error"] is None and s["dead_letters"] == 0 for s in shards.values())
    world.settings["log"]["kafka"]["brokers"] = brokers
    world.settings["shards"][1]["dsn"] += " port=1"
    world.write_config()
    log_error, shards = status(world, 3)
    assert log_error is None and shards["a"]["error"] is None and shards["b"]["error"] and shards["b"]["trouble"]
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.settings["shards"][0]["dsn"] += " port=1"
    world.write_config()
    status(world, 1)
