#!/usr/bin/env bash
# librdkafka 2.12.1 (2.16.0 too): a linger.ms with a fraction waits for the next whole millisecond.
#
# linger.ms (queue.buffering.max.ms) takes fractions, and 0.1 and 0.5 look like a way between "send at once" and a whole
# millisecond. But the broker's thread sleeps in poll(2), whose time-out is in milliseconds and is rounded up: a record that
# comes alone waits 1 ms with 0.1, as with 1, and 2 ms with 1.5. Whoever needs less has to gather records before produce()
# and set 0.
#
# The time from produce() to the delivery report is taken, of single records, one after the other; its 10th percentile is
# shown, so that a busy machine does not count. Needs python3 with venv, and network for pip; librdkafka's own mock broker
# stands for Kafka.
# Exit codes: 0 it is so, 1 it is not so any more, 2 it could not be tried.
set -Eeuo pipefail
trap 'exit 2' ERR

DIRECTORY=$(mktemp -d)
trap 'rm -rf "$DIRECTORY"' EXIT
python3 -m venv "$DIRECTORY/venv"
"$DIRECTORY/venv/bin/pip" --quiet --disable-pip-version-check install confluent-kafka==2.12.1

cat >"$DIRECTORY/linger.py" <<'EOF'
import sys
import time

from confluent_kafka import Producer, libversion

NOT_SO = 3  # Python itself ends with 1 when something fails
RECORDS, FIRST = 300, 20  # the first ones find connections and metadata


def waits_ms(linger):
    producer = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "linger.ms": linger, "log_level": 0})
    waits = []
    for _ in range(RECORDS):
        reports, begin = [], time.monotonic()
        producer.produce("t", b"x", callback=lambda error, _: reports.append((error, time.monotonic())))
        while not reports:
            producer.poll(1)
        assert reports[0][0] is None, reports
        waits.append((reports[0][1] - begin) * 1000)
        time.sleep(0.002)
    return sorted(waits[FIRST:])


print(f"librdkafka {libversion()[0]}")
tenth = {}
for linger in (0, 0.1, 0.5, 1, 1.5):
    waits = waits_ms(linger)
    tenth[linger] = waits[len(waits) // 10]
    print(f"linger.ms {linger}: a tenth of the records is delivered within {tenth[linger]:.2f} ms, half within {waits[len(waits) // 2]:.2f} ms")
rounded = tenth[0] < 0.7 and tenth[0.1] > 0.9 and tenth[0.5] > 0.9 and tenth[1.5] > 1.9
print("fractions wait for the next whole millisecond" if rounded else "fractions are waited for as they are")
sys.exit(0 if rounded else NOT_SO)
EOF
code=0
"$DIRECTORY/venv/bin/python" "$DIRECTORY/linger.py" || code=$?
case $code in 0) exit 0 ;; 3) exit 1 ;; *) exit 2 ;; esac
