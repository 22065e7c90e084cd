"""The indexer steps aside when the write-ahead log is pressed, and finishes afterwards."""

import os
import threading
import time

from confluent_kafka import Producer

from api import Refused
from harness.waiting import wait_for

TOPIC = "pressed"
PARTITIONS = 8
SECONDS, SECONDS_LONG = 8, 60
PRESSED = 1
# While pressed: the floor that keeps an indexer going for ever under light pressure, and what was under way.
STANDS_STILL = 0.25
CATCH_UP_SECONDS = 300
GATEWAY_TIMEOUT = 504


class Load:
    """Producers of incompressible records that are faster than the disk."""

    def __init__(self, bootstrap, threads=3):
        self.over, self.acknowledged, self.lock = threading.Event(), 0, threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(bootstrap,)) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self, bootstrap):
        # One record a request: many entries in the log's queue, which is short in this profile.
        settings = {"bootstrap.servers": bootstrap, "linger.ms": 0, "batch.num.messages": 1, "max.in.flight": 1000, "log_level": 0}
        producer = Producer({**settings, "queue.buffering.max.messages": 4000, "message.timeout.ms": 120_000})
        count, text = 0, os.urandom(6000).hex()

        def delivered(error, _message):
            nonlocal count
            count += error is None

        number = 0
        while not self.over.is_set():
            try:
                producer.produce(TOPIC, f'{{"n": {number}, "text": "{text}"}}', partition=number % PARTITIONS, on_delivery=delivered)
                number += 1
            except BufferError:
                producer.poll(0.01)
            producer.poll(0)
        assert producer.flush(120) == 0
        with self.lock:
            self.acknowledged += count

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        return self.acknowledged


def count_when_caught_up(api):
    """One request waits for a minute at most, which is not enough on a machine with other work."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while True:
        try:
            return api.count(TOPIC, refresh="wait_for", timeout="60s")
        except Refused as refused:
            if refused.status != GATEWAY_TIMEOUT or time.monotonic() > deadline:
                raise


def test_the_indexer_stops_while_the_log_is_pressed_and_catches_up_afterwards(start_broker, is_long):
    broker = start_broker(wal_profile="low")
    broker.create_topic(TOPIC, PARTITIONS, **{"search.enable": "true"})
    load = Load(broker.bootstrap)
    samples = []
    try:
        wait_for("pressure", lambda: broker.api.metrics()["eddy_backpressure_state"] >= PRESSED, pause=0.02)
        began = time.monotonic()
        while time.monotonic() < began + (SECONDS_LONG if is_long else SECONDS):
            metrics = broker.api.metrics()
            samples.append((time.monotonic(), metrics["eddy_backpressure_state"] >= PRESSED, metrics["eddy_index_records_total"], metrics))
            time.sleep(0.05)
    finally:
        written = load.stop()
    pressed = [(later[0] - sooner[0], later[2] - sooner[2]) for sooner, later in zip(samples, samples[1:]) if sooner[1] and later[1]]
    seconds, indexed = (sum(column) for column in zip(*pressed)) if pressed else (0, 0)
    began = time.monotonic()
    assert count_when_caught_up(broker.api) == written
    alone = (written - samples[-1][2]) / (time.monotonic() - began)
    # Pressure that comes and goes between two looks says nothing about the rate.
    if seconds:
        print(f"{written} written; pressed {seconds:.1f} s: {indexed / seconds:.0f} indexed/s; {alone:.0f}/s after the load")
        assert indexed / seconds < STANDS_STILL * alone
    assert broker.api.metrics()["eddy_index_backoff_seconds_total"] > 0
