#!/usr/bin/env bash
# librdkafka 2.12.1: an idempotent producer that may not send asks in a circle whether it may.
#
# Of an idempotent producer at most five requests of a partition may be on their way. What is compared with five is the number
# of records on their way, not of requests, so a partition has about one request at a time. While records wait behind it whose
# linger is over, the broker's thread calls poll(2) with a time-out of 0 again and again: until the answer comes it uses a whole
# processor, or what it gets of one. Whoever wants that processor gives the client no more than it may send.
#
# The processor time of two producers is taken while one request is on its way to a broker that answers after a while and three
# records wait behind it. Needs python3 with venv, and network for pip; librdkafka's own mock broker stands for Kafka.
# Exit codes: 0 it is so, 1 it is not so any more, 2 it could not be tried.
set -Eeuo pipefail
trap 'exit 2' ERR

DIRECTORY=$(mktemp -d)
trap 'rm -rf "$DIRECTORY"' EXIT
python3 -m venv "$DIRECTORY/venv"
"$DIRECTORY/venv/bin/pip" --quiet --disable-pip-version-check install confluent-kafka==2.12.1

cat >"$DIRECTORY/spin.py" <<'EOF'
import sys
import time

from confluent_kafka import Producer, libversion

NOT_SO = 3  # Python itself ends with 1 when something fails
ROUND_MS = 1000


def used_of_wait(idempotent):
    """The share of the wait for an answer for which the process used a processor."""
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "enable.idempotence": idempotent, "linger.ms": 0,
                         "log_level": 0, "test.mock.broker.rtt": ROUND_MS})
    producer.produce("t", b"first", partition=0)  # finds connections, metadata and the producer's id
    assert producer.flush(30) == 0
    for _ in range(10):
        producer.produce("t", b"x", partition=0)
    time.sleep(0.1)  # they are on their way
    begun, used = time.monotonic(), time.process_time()
    for _ in range(3):
        producer.produce("t", b"x", partition=0)
    time.sleep(ROUND_MS / 2000)
    share = (time.process_time() - used) / (time.monotonic() - begun)
    assert producer.flush(30) == 0
    return share


print(f"librdkafka {libversion()[0]}")
shares = {idempotent: max(used_of_wait(idempotent) for _ in range(3)) for idempotent in (False, True)}
for idempotent, share in shares.items():
    print(f"{'idempotent' if idempotent else 'plain'}: a processor for {share:.0%} of the wait")
spins = shares[True] > 0.2 and shares[True] > 5 * shares[False]
print("an idempotent producer spins" if spins else "neither spins")
sys.exit(0 if spins else NOT_SO)
EOF
code=0
"$DIRECTORY/venv/bin/python" "$DIRECTORY/spin.py" || code=$?
case $code in 0) exit 0 ;; 3) exit 1 ;; *) exit 2 ;; esac
