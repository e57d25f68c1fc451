"""What bench/versus compares a contender's rows with: what the log's records, folded here one by one, make of them. No contender is
the judge of another."""

import json
from collections import namedtuple
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition

from window import Fault

# What a row must become: `total` is the sum of its counts, `last` the last one. Its last record is at `partition`, `offset`.
Expected = namedtuple("Expected", "properties last_active total last partition offset")
Left = namedtuple("Left", "properties last_active sessions")  # last_active in microseconds since 1970

# Most records that one may have applied and not committed when it has ended: those of its threads' batches.
IN_FLIGHT = 20_000

LEFT = """
select app_id || '/' || subscription_id, properties::text, (extract(epoch from last_active) * 1000000)::bigint, session_count
from subscriptions where last_active is not null or session_count <> 0
"""


def log_records(brokers, topic, begin, end):
    """(partition, offset, key, body) of what lies between these offsets."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic + "-check", "enable.auto.commit": False, "log_level": 3})
    consumer.assign([TopicPartition(topic, p, offset) for p, offset in begin.items()])
    left = sum(end.values()) - sum(begin.values())
    while left:
        for message in consumer.consume(10_000, timeout=1):
            if message.error():
                raise KafkaException(message.error())
            if message.offset() < end[message.partition()]:
                left -= 1
                yield message.partition(), message.offset(), message.key().decode(), message.value()
    consumer.close()


def micros(text):
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


def expected_rows(records):
    """{key: Expected}; `records` as log_records has them."""
    rows = {}
    for partition, offset, key, body in records:
        members, before = json.loads(body), rows.get(key)
        count = members["session_count"]
        rows[key] = Expected(members["properties"], members["last_active"], count + (before.total if before else 0), count, partition, offset)
    return {key: row._replace(last_active=micros(row.last_active)) for key, row in rows.items()}


def left_rows(db):
    """{key: Left} of the rows that anybody has written since they were reset."""
    return {key: Left(json.loads(properties), last_active, sessions) for key, properties, last_active, sessions in db.execute(LEFT)}


def check_row(name, key, left, row, adds):
    wanted = Left(row.properties, row.last_active, row.total if adds else row.last)
    if left != wanted:
        raise Fault(f"{name}: row {key} is {left}, and the log makes it {wanted}")


def check_sum(name, left, count, total, in_flight):
    """Of counters that are added to, each by 1 a record."""
    found = sum(row.sessions for row in left.values())
    if not count <= found <= min(total, count + in_flight):
        raise Fault(f"{name}: it has applied {count} of {total} records, and the counters add up to {found}")


def check_rows(name, adds, left, expected, positions, count, total, in_flight=IN_FLIGHT):
    """How many rows were compared; a Fault if one is wrong. `positions`: {partition: offset} up to which it has applied all. Where it was
    stopped before the end, a row whose last record lies behind its position can only be checked against what may not be."""
    if adds:
        check_sum(name, left, count, total, in_flight)
    compared = 0
    for key, row in expected.items():
        if row.offset < positions[row.partition]:
            check_row(name, key, left.get(key), row, adds)
            compared += 1
        elif adds and key in left and left[key].sessions > row.total:
            raise Fault(f"{name}: row {key} was counted {left[key].sessions} times, and the log has {row.total}")
    if strange := left.keys() - expected.keys():
        raise Fault(f"{name}: row {strange.pop()} was written, and the log has no record of it")
    return compared
