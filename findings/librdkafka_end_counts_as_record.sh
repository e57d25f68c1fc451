#!/usr/bin/env bash
# librdkafka 2.12.1: the end-of-partition event counts as a record.
#
# With enable.partition.eof a batch read (rd_kafka_consume_batch_queue; in Python Consumer.consume) delivers an event at
# the end of a partition. It has the offset that the next record will get, and the consumer's position moves one past
# it, as if it were that record. Whatever then makes the fetcher start from the position, pause and resume or a
# cooperative rebalance, skips the next record: it is never delivered, and nothing says so. Reading message by message
# (rd_kafka_consumer_poll) is not affected. 2.16.0 does not do it any more.
#
# Needs python3 with venv, and network for pip; librdkafka's own mock broker stands for Kafka.
# Exit codes: 0 it is so, 1 it is not so any more, 2 it could not be tried.
set -Eeuo pipefail
trap 'exit 2' ERR

DIRECTORY=$(mktemp -d)
trap 'rm -rf "$DIRECTORY"' EXIT
python3 -m venv "$DIRECTORY/venv"
"$DIRECTORY/venv/bin/pip" --quiet --disable-pip-version-check install confluent-kafka==2.12.1

cat >"$DIRECTORY/end.py" <<'EOF'
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, libversion

NOT_SO = 3  # Python itself ends with 1 when something fails
producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "log_level": 0})
broker = next(iter(producer.list_topics(timeout=10).brokers.values()))
partition = [TopicPartition("t", 0)]


def put(count):
    for _ in range(count):
        producer.produce("t", b"x", partition=0)
    assert producer.flush(10) == 0


def read():
    """The offsets of the records up to the end of the partition."""
    offsets, until = [], time.monotonic() + 30
    while time.monotonic() < until:
        for message in consumer.consume(100, timeout=0.2):
            if not message.error():
                offsets.append(message.offset())
            elif message.error().code() == KafkaError._PARTITION_EOF:
                return offsets
    raise TimeoutError("no end of the partition within 30 s")


put(1)
consumer = Consumer({"bootstrap.servers": f"{broker.host}:{broker.port}", "group.id": "g", "enable.partition.eof": True,
                     "enable.auto.commit": False, "log_level": 0})
consumer.assign([TopicPartition("t", 0, 0)])
first = read()
position = consumer.position(partition)[0].offset
consumer.pause(partition)
put(3)
consumer.resume(partition)
rest = read()
print(f"librdkafka {libversion()[0]}: read {first}, then the end, which is at offset 1")
print(f"position: {position}")
print(f"records 1, 2, 3 are written; after pause and resume it reads {rest}")
sys.exit(0 if (first, position, rest) == ([0], 2, [2, 3]) else NOT_SO)
EOF
code=0
"$DIRECTORY/venv/bin/python" "$DIRECTORY/end.py" || code=$?
case $code in 0) exit 0 ;; 3) exit 1 ;; *) exit 2 ;; esac
