"""Looking in from outside: `leat check`, on a set-up that is well and on each that is not."""

import json

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

# ---- leat check ----


def check(world):
    """(exit code, {(check, shard): finding}) of `leat check --json`, once the text says the same."""
    done, text = world.leat("check", "--json"), world.leat("check")
    found = json.loads(done.stdout)
    assert done.returncode == text.returncode
    counted = [sum(f["result"] == r for f in found["checks"]) for r in ("failed", "warning", "skipped", "ok")]
    assert text.stdout.splitlines()[-1] == "{} failed, {} warnings, {} skipped, {} ok".format(*counted)
    assert [found["failed"], found["warnings"]] == counted[:2]
    return done.returncode, {(f["check"], f["shard"]): f for f in found["checks"]}


def faults(findings):
    return {k for k, f in findings.items() if f["result"] in ("failed", "warning")}


def set_topic(world, name, value):
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, world.name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": world.brokers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def on_shard(world, shard, *statements):
    with world.db(shard) as db:
        for statement in statements:
            db.execute(statement)


@pytest.fixture
def expected(world):
    """What is said of this machine's own servers: a broker alone, and databases that may run without fsync."""
    code, findings = check(world)
    about_servers = {k for k in faults(findings) if k[0] in ("in-sync replicas", "fsync", "synchronous_commit")}
    assert faults(findings) == about_servers
    assert code == (3 if any(findings[k]["result"] == "failed" for k in about_servers) else 0)
    return about_servers


def test_nothing_is_said_of_a_set_up_that_is_well(world, expected):
    """Each check is made, of each shard; the broker that is alone is a warning with why and what to do."""
    _, findings = check(world)
    assert findings["in-sync replicas", None]["result"] == "warning"
    assert findings["in-sync replicas", None]["why"] and findings["in-sync replicas", None]["do"]
    for name in ("connection", "read-only", "connections", "schema leat", "tables", "tables alike", "privileges"):
        for shard in world.shard_names:
            assert findings[name, shard]["result"] == "ok" and findings[name, shard]["why"] is None
    for name in ("configuration", "Kafka", "topic", "compaction", "retention"):
        assert findings[name, None]["result"] == "ok"


PROBLEMS = {
    "a compacted topic": (
        lambda w: set_topic(w, "cleanup.policy", "compact"), ("compaction", None), "failed", "cleanup.policy is compact"),
    "a short retention": (
        lambda w: set_topic(w, "retention.ms", "3600000"), ("retention", None), "warning", "retention.ms is 3600000"),
    "a table that is missing": (
        lambda w: on_shard(w, "b", "drop table subscriptions"), ("tables", "b"), "failed", "subscriptions"),
    "a table that differs": (
        lambda w: on_shard(w, "b", "alter table subscriptions add extra int"), ("tables alike", "b"), "failed", "extra"),
    "synchronous_commit off": (
        lambda w: on_shard(w, "a", f"alter database {w.name} set synchronous_commit = off"),
        ("synchronous_commit", "a"), "warning", "synchronous_commit is off"),
    "a database that takes no writes": (
        lambda w: on_shard(w, "a", f"alter database {w.name} set default_transaction_read_only = on"),
        ("read-only", "a"), "failed", "read-only"),
    "too few connections": (
        lambda w: w.settings["shards"][1].update(connections=1000), ("connections", "b"), "warning", "up to 1001"),
    "a schema of another topic": (
        lambda w: on_shard(w, "b", "update leat.sources set topic_id = 'another'"),
        ("schema leat", "b"), "failed", "topic id"),
    "no schema at all": (
        lambda w: on_shard(w, "b", "drop schema leat cascade"), ("schema leat", "b"), "failed", "knows nothing of topic"),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_has_its_line(world, expected, name):
    """The one problem is found, with its words, why it matters and what to do; nothing else changes."""
    provoke, key, result, words = PROBLEMS[name]
    provoke(world)
    world.write_config()
    code, findings = check(world)
    assert faults(findings) == expected | {key}
    found = findings[key]
    assert found["result"] == result and words in found["what"] and found["why"] and found["do"]
    assert code == 3 or result == "warning"


def test_a_role_without_privileges(world, expected):
    """What is missing is named, and only that."""
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
            f"role {role} lacks DELETE on public.subscriptions, UPDATE on public.subscriptions")
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
    """Kafka that is down skips what is asked of the topic, and no more."""
    world.settings["log"]["kafka"]["brokers"] = "127.0.0.1:1"
    world.write_config()
    code, findings = check(world)
    assert code == 3 and findings["Kafka", None]["result"] == "failed"
    assert {f["check"] for f in findings.values() if f["result"] == "skipped"} == {
        "topic", "compaction", "in-sync replicas", "retention"}
    assert all(findings["privileges", shard]["result"] == "ok" for shard in world.shard_names)


def test_a_topic_that_is_not_there(make_world):
    """Before `leat init`: it is what the topic and schema checks tell to run. A broken file is exit 2."""
    world = make_world(shards=1)
    code, findings = check(world)
    assert code == 3
    for key in (("topic", None), ("schema leat", "a")):
        assert findings[key]["result"] == "failed" and "leat init" in findings[key]["do"]
    world.config_path.write_text("shards: 1\n")
    assert world.leat("check").returncode == 2
