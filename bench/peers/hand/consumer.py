"""A consumer as teams write it by hand, in three ways: consumer.py naive|batch|inbox.

  naive   one upsert and one commit a record; offsets are committed every 100 records
  batch   what a poll returns becomes one upsert: the last values of each row, its counters added up; then the offsets
  inbox   a durable inbox: what a poll returns is stored as it is, then the offsets are committed; then it is applied and marked as
          applied in one transaction. Counters are exact whatever crashes, for three writes a record instead of one

WORKERS processes (2) share the partitions: partition P belongs to worker P mod WORKERS. BATCH is the most records of a poll of
the other two (1000).
"""
import json
import multiprocessing
import os
import signal
import sys

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

SET = """on conflict (app_id, subscription_id) do update set properties = excluded.properties, last_active = excluded.last_active,
  session_count = t.session_count + excluded.session_count"""
COLUMNS = "(app_id, subscription_id, properties, last_active, session_count)"
UPSERT_ONE = f"insert into subscriptions as t {COLUMNS} values (%s, %s, %s::jsonb, %s, %s) {SET}"
UPSERT_MANY = f"""insert into subscriptions as t {COLUMNS}
  select * from unnest(%s::uuid[], %s::uuid[], %s::jsonb[], %s::timestamptz[], %s::int[]) {SET}"""

INBOX = """create table if not exists inbox (partition int, "offset" bigint, key text not null, body text not null,
  applied_at timestamptz, primary key (partition, "offset"))"""
STORE = """insert into inbox (partition, "offset", key, body)
  select * from unnest(%s::int[], %s::bigint[], %s::text[], %s::text[]) on conflict do nothing"""
MARK = """update inbox i set applied_at = now() from unnest(%s::int[], %s::bigint[]) as m (partition, "offset")
  where i.partition = m.partition and i."offset" = m."offset" and i.applied_at is null returning i.partition, i."offset" """
LEFT = """select partition, "offset", key, body from inbox where applied_at is null and partition = any(%s)
  order by partition, "offset" limit %s"""
NAIVE_POLL = 100  # what a crash may do twice; and a progress that is seen several times a second


# ---- records and rows ----


def row_of(key, body):
    """(app, subscription, properties, last active, sessions) of a record."""
    app, subscription = key.split("/")
    members = json.loads(body)
    return [app, subscription, json.dumps(members["properties"]), members["last_active"], members["session_count"]]


def fold(records):
    """The rows that (key, body) pairs become, each row once, as an upsert cannot meet a row twice."""
    rows = {}
    for key, body in records:
        row = row_of(key, body)
        if before := rows.get(key):
            row[4] += before[4]
        rows[key] = row
    return list(map(list, zip(*rows.values())))


class Log:
    """This worker's partitions."""

    def __init__(self, worker, workers, stopping, batch):
        self.consumer = Consumer({"bootstrap.servers": os.environ["KAFKA_BROKERS"], "group.id": os.environ["GROUP"],
                                  "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        topic = os.environ["TOPIC"]
        known = self.consumer.list_topics(topic, timeout=30).topics[topic].partitions
        self.partitions = [p for p in known if p % workers == worker]
        self.consumer.assign([TopicPartition(topic, p) for p in self.partitions])
        self.stopping, self.batch = stopping, batch

    def polls(self, count=None):
        """What each poll returns, until it is time to stop."""
        while not self.stopping.is_set():
            messages = self.consumer.consume(count or self.batch, timeout=0.2)
            for message in messages:
                if message.error():
                    raise KafkaException(message.error())
            if messages:
                yield messages

    def commit(self):
        self.consumer.commit(asynchronous=False)


def texts(messages):
    return [(m.key().decode(), m.value().decode()) for m in messages]


# ---- the ways ----


def naive(log, db):
    db.autocommit = True
    for messages in log.polls(NAIVE_POLL):
        for key, body in texts(messages):
            db.execute(UPSERT_ONE, row_of(key, body))
        log.commit()


def batch(log, db):
    for messages in log.polls():
        db.execute(UPSERT_MANY, fold(texts(messages)))
        db.commit()
        log.commit()


def apply_stored(db, records):
    """`records`: {(partition, offset): (key, body)}, which are in the inbox. Those that are applied already are left out."""
    marked = db.execute(MARK, list(map(list, zip(*records)))).fetchall()
    if marked:
        db.execute(UPSERT_MANY, fold(records[place] for place in sorted(marked)))
    db.commit()


def inbox(log, db):
    while left := db.execute(LEFT, [log.partitions, log.batch]).fetchall():
        apply_stored(db, {(partition, offset): (key, body) for partition, offset, key, body in left})
    for messages in log.polls():
        records = {(m.partition(), m.offset()): text for m, text in zip(messages, texts(messages))}
        db.execute(STORE, list(map(list, zip(*((*place, *text) for place, text in records.items())))))
        db.commit()
        log.commit()
        apply_stored(db, records)


WAYS = {"naive": naive, "batch": batch, "inbox": inbox}


def work(way, worker, workers, stopping):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log = Log(worker, workers, stopping, int(os.environ.get("BATCH", "1000")))
    with psycopg.connect() as db:  # PGHOST, PGPORT, PGUSER and PGDATABASE say where
        WAYS[way](log, db)
    log.consumer.close()


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in WAYS:
        sys.exit(f"usage: consumer.py {'|'.join(WAYS)}")
    way, workers, stopping = sys.argv[1], int(os.environ.get("WORKERS", "2")), multiprocessing.Event()
    if way == "inbox":
        with psycopg.connect(autocommit=True) as db:
            db.execute(INBOX)
    processes = [multiprocessing.Process(target=work, args=(way, number, workers, stopping)) for number in range(workers)]
    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))


main()
