#!/usr/bin/env python3
"""A consumer for `bench/versus --own` that commits the offset of every record and applies nine of ten."""

import os
import signal

import psycopg
from confluent_kafka import Consumer

stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

consumer = Consumer({"bootstrap.servers": os.environ["KAFKA_BROKERS"], "group.id": os.environ["GROUP"], "enable.auto.commit": False})
consumer.subscribe([os.environ["TOPIC"]])
with psycopg.connect() as db:
    while not stopping:
        messages = consumer.consume(500, timeout=0.2)
        for message in messages:
            if message.offset() % 10:
                db.execute("update subscriptions set session_count = session_count + 1 where (app_id, subscription_id) = (%s, %s)",
                           message.key().decode().split("/"))
        db.commit()
        if messages:
            consumer.commit(asynchronous=False)
consumer.close()
