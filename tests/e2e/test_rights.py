"""The rights in Kafka that each command needs, as docs/install.md has them: with these alone it works, and one that is missing is
named."""

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from lib.harness import wait_until
from lib.own_broker import BrokerWithRights

COUNTERS = {"table_sql": "create table counters (id int primary key, n bigint not null default 0)",
            "route": {"path": "/counters/{id}", "table": "counters", "columns": {"n": "add"}}, "shards": 1, "partitions": 1}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    made = BrokerWithRights(tmp_path_factory.mktemp("kafka") / "own")
    yield made
    made.stop()


def test_each_command_has_its_rights(make_world, broker):
    world = make_world(brokers=broker.for_leat, **COUNTERS)
    world.log.brokers = broker.brokers
    world.settings["log"]["kafka"]["properties"].update(broker.PROPERTIES)
    world.write_config()

    def only(*operations):
        broker.revoke(*on_topic(AclOperation.ANY))
        broker.grant(*on_topic(*operations))

    def on_topic(*operations):
        return [(ResourceType.TOPIC, world.name, operation) for operation in operations]

    assert "grant DESCRIBE on the topic" in world.leat("init").stderr
    only(AclOperation.DESCRIBE)
    assert "Grant CREATE on the topic" in world.leat("init").stderr
    only(AclOperation.DESCRIBE, AclOperation.CREATE)
    assert "created" in world.init()
    only(AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
    assert "exists" in world.init()

    only(AclOperation.WRITE, AclOperation.DESCRIBE_CONFIGS)
    edge = world.start("edge")
    wait_until(lambda: world.client(edge).patch("/counters/1", json={"n": 1}).status_code == 202, "the write")
    edge.kill()

    only(AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
    lag = world.leat("lag")
    assert lag.returncode == 1 and "grant READ on the topic" in lag.stderr, lag
    assert not [l for l in world.leat("check").stdout.splitlines() if l.startswith(("FAILED", "skipped")) and "shard" not in l]
    only(AclOperation.DESCRIBE)
    check = world.leat("check")
    assert check.returncode == 0 and "warning  compaction: it cannot be read: " in check.stdout, check
    assert "grant DESCRIBE_CONFIGS on the topic" in check.stdout

    only(AclOperation.READ, AclOperation.DESCRIBE_CONFIGS)
    properties = world.settings["log"]["kafka"]["properties"]
    world.settings["log"]["kafka"]["properties"] = {"group.protocol": "consumer", **broker.PROPERTIES}
    world.write_config()
    broker.grant((ResourceType.GROUP, world.name, AclOperation.DESCRIBE))  # else the group's coordinator is asked for again and again
    with_new_protocol = world.start("apply", wait=False)
    wait_until(lambda: not with_new_protocol.alive(), "the end")
    assert with_new_protocol.popen.returncode == 1 and ": grant READ on the group" in with_new_protocol.text()
    world.settings["log"]["kafka"]["properties"] = properties
    world.write_config()

    apply = world.start("apply")
    apply.wait_for("grant READ on the group")
    broker.grant((ResourceType.GROUP, world.name, AclOperation.READ))
    wait_until(lambda: world.rows("select n from counters") == [(1,)], "the row")
    only(AclOperation.READ)
    wait_until(lambda: world.leat("lag").returncode == 0 and world.leat("status").returncode == 0, "lag and status")
