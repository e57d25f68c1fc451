"""The group protocol can be changed while writes flow (docs/operations.md): nothing is lost, doubled or applied out of order."""

import threading

from lib.harness import wait_until

COUNTERS = {"table_sql": "create table counters (id int primary key, n bigint not null default 0, seen jsonb not null default '[]')",
            "route": {"path": "/counters/{id}", "table": "counters", "columns": {"n": "add", "seen": "append"}},
            "shards": 1, "partitions": 4}
KEYS = 40


class Traffic(threading.Thread):
    """One write after another, each answered 202; `sent` counts them."""

    def __init__(self, world):
        super().__init__()
        self.world, self.edge, self.sent, self.end = world, world.start("edge"), 0, threading.Event()

    def run(self):
        with self.world.client(self.edge) as http:
            while not self.end.wait(0.005):
                assert http.patch(f"/counters/{self.sent % KEYS}", json={"n": 1, "seen": self.sent}).status_code == 202
                self.sent += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.join()


def test_processes_share_the_connections_of_a_shard_by_their_partitions(make_world):
    """Eight in all: a process that has the shard to itself has them, two have four each, and what one leaves the other gets."""
    world = make_world(shards=1, partitions=8)
    world.settings["shards"][0].update(connections=8, connections_total=8)
    world.write_config()
    world.init()

    def connections(process):
        return world.metric(process, "leat_shard_connections")

    def sessions():
        return world.rows("select count(*) from pg_stat_activity where application_name like 'leat %'"
                          " and datname = current_database()")[0][0]

    first = world.start("apply")
    wait_until(lambda: connections(first) == 8, "all of them")
    second = world.start("apply")
    wait_until(lambda: (connections(first), connections(second)) == (4, 4), "half of them each")
    wait_until(lambda: sessions() <= 8 + 4, "the others to be closed; each process has two more for other things")
    assert first.terminate() == 0
    wait_until(lambda: connections(second) == 8, "those that the first had")
    assert second.terminate() == 0


def test_to_the_consumer_protocol_and_back(make_world):
    """Members with `consumer` join when the last one with cooperative-sticky has left, and say so until then; back goes one
    by one."""
    world = make_world(**COUNTERS)
    world.init()
    kafka = world.settings["log"]["kafka"]
    classic = kafka["properties"]

    def start_with(properties):
        kafka.update(properties=properties, renew_after="2s")
        world.write_config()
        return world.start("apply")

    def wait_for_work(*appliers):
        wait_until(lambda: all(world.metric(a, "leat_partitions_held") for a in appliers)
                   and sum(world.metric(a, "leat_partitions_held") for a in appliers) == 4, "all to have partitions")
        before = applied()
        wait_until(lambda: applied() > before, "writes to be applied")

    def applied():
        return world.rows("select coalesce(sum(n), 0)::int from counters")[0][0]

    with Traffic(world) as traffic:
        first, second = start_with(classic), start_with(classic)
        wait_for_work(first, second)
        assert first.terminate() == 0
        first = start_with({"group.protocol": "consumer"})
        first.wait_for("joins when no member with cooperative-sticky is left")
        wait_for_work(second)
        assert second.terminate() == 0
        second = start_with({"group.protocol": "consumer"})
        wait_for_work(first, second)
        assert first.terminate() == 0
        first = start_with(classic)
        wait_for_work(first, second)
        assert second.terminate() == 0
        second = start_with(classic)
        wait_for_work(first, second)
    wait_until(lambda: applied() == traffic.sent, f"all {traffic.sent} writes")
    assert world.rows("""select id from counters where jsonb_array_length(seen) <> n
                         or seen <> (select jsonb_agg(e order by e) from jsonb_array_elements(seen) e)""") == []
