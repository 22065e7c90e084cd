"""Workloads that produce: P1, P1c, P2, P2b, P3, P4."""

import threading
import time

from common import check_read_back, fresh_topic, percentile, read_back, Report, send
from confluent_kafka import Producer
from kafka import KafkaProducer


class Awaited:
    """What threads that await each acknowledgement have seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.latencies, self.acked, self.errors = [], [], {}

    def ok(self, seconds, value):
        with self.lock:
            self.latencies.append(seconds)
            self.acked.append(value)

    def failed(self, error):
        with self.lock:
            self.errors[error] = self.errors.get(error, 0) + 1


def kafka_python_thread(options, settings, index, seen, started):
    producer = KafkaProducer(bootstrap_servers=options.bootstrap.split(","), acks="all", linger_ms=0, **settings)
    producer.partitions_for("bench-test")
    started.wait()
    for number in range(options.messages // options.threads):
        value = f"message-{index}-{number}".encode()
        begun = time.monotonic()
        try:
            producer.send("bench-test", value).get(timeout=5)
            seen.ok(time.monotonic() - begun, value)
        except Exception as error:
            seen.failed(type(error).__name__)
    producer.close()


def librdkafka_thread(options, settings, index, seen, started):
    config = {"bootstrap.servers": options.bootstrap, "acks": "all", "linger.ms": 0, "message.timeout.ms": 5000}
    config["retries"] = settings["retries"]
    config["max.in.flight.requests.per.connection"] = settings["max_in_flight_requests_per_connection"]
    config["compression.type"] = settings.get("compression_type") or "none"
    producer = Producer(config)
    producer.list_topics("bench-test", timeout=60)
    started.wait()
    for number in range(options.messages // options.threads):
        value = f"message-{index}-{number}".encode()
        answer = []
        begun = time.monotonic()
        producer.produce("bench-test", value, on_delivery=lambda error, _: answer.append(error))
        while not answer and time.monotonic() < begun + 6:
            producer.poll(0.05)
        if answer and answer[0] is None:
            seen.ok(time.monotonic() - begun, value)
        else:
            seen.failed(answer[0].name() if answer else "no answer")


def synchronous(options, report, settings):
    """Threads with one producer each, each record awaited."""
    fresh_topic(options.bootstrap, "bench-test", 3, 3, 2)
    work = {"kafka-python": kafka_python_thread, "librdkafka": librdkafka_thread}[options.client]
    seen = Awaited()
    started = threading.Barrier(options.threads + 1)
    threads = [threading.Thread(target=work, args=(options, settings, index, seen, started)) for index in range(options.threads)]
    for thread in threads:
        thread.start()
    started.wait()
    begun = time.monotonic()
    for thread in threads:
        thread.join()
    took = time.monotonic() - begun
    per_node = len(seen.acked) / took / options.nodes
    report.figure("acknowledged", len(seen.acked))
    report.figure("records/s in the cluster", len(seen.acked) / took)
    report.figure("records/s a node", per_node)
    report.figure("p50 ms", percentile(seen.latencies, 50) * 1000)
    report.figure("p99 ms", percentile(seen.latencies, 99) * 1000)
    report.figure("errors", seen.errors)
    check_read_back(report, read_back(options.bootstrap, "bench-test", 3, len(seen.acked)), seen.acked, exactly=False)
    return per_node, seen


def p2(options):
    options.threads = options.threads or 128
    report = Report("P2", vars(options))
    settings = {"max_in_flight_requests_per_connection": 5, "retries": 0}
    per_node, seen = synchronous(options, report, settings)
    report.check("above 652 records/s a node", per_node > 652)
    report.check("p50 below 86 ms", percentile(seen.latencies, 50) < 0.086)
    report.check("p99 below 260 ms", percentile(seen.latencies, 99) < 0.260)
    report.check("no timeouts", not seen.errors)
    return report


def p2b(options):
    options.threads = options.threads or 64
    report = Report("P2b", vars(options))
    settings = {
        "max_in_flight_requests_per_connection": 5,
        "retries": 3,
        "retry_backoff_ms": 100,
        "request_timeout_ms": 30_000,
        "compression_type": "snappy",
    }
    _, seen = synchronous(options, report, settings)
    report.check("no error reaches the application", not seen.errors)
    return report


def kafka_python_stream(options, acks, settings, report):
    """One producer that does not wait; gives the values acknowledged and the latencies."""
    producer = KafkaProducer(bootstrap_servers=options.bootstrap.split(","), acks=acks, linger_ms=10, batch_size=16384, **settings)
    producer.partitions_for("bench")
    seen = Awaited()

    def sent(value, begun):
        # The value of an answer is not the value of the record.
        future = producer.send("bench", value)
        future.add_callback(lambda _: seen.ok(time.monotonic() - begun, value))
        future.add_errback(lambda error: seen.failed(type(error).__name__))

    begun = time.monotonic()
    for number in range(options.messages):
        sent(f"message-{number}".encode(), time.monotonic())
        if options.progress and (number + 1) % 10_000 == 0:
            print(f"  {number + 1} sent after {time.monotonic() - begun:.1f} s", flush=True)
    producer.flush(timeout=120)
    took = time.monotonic() - begun
    producer.close()
    return seen, took


def librdkafka_stream(options, acks, settings, report):
    config = {"bootstrap.servers": options.bootstrap, "acks": acks, "linger.ms": 10, "batch.size": 16384}
    config["compression.type"] = settings.get("compression_type") or "none"
    config["max.in.flight.requests.per.connection"] = settings.get("max_in_flight_requests_per_connection", 5)
    config["retries"] = settings.get("retries", 2_147_483_647)
    producer = Producer(config)
    producer.list_topics("bench", timeout=60)
    seen = Awaited()

    def delivered(error, message):
        seen.ok(message.latency(), message.value()) if error is None else seen.failed(error.name())

    begun = time.monotonic()
    for number in range(options.messages):
        send(producer, "bench", f"message-{number}".encode(), on_delivery=delivered)
        producer.poll(0)
    producer.flush(120)
    return seen, time.monotonic() - begun


STREAMS = {"kafka-python": kafka_python_stream, "librdkafka": librdkafka_stream}


def stream_figures(report, options, seen, took):
    report.figure("acknowledged", len(seen.acked))
    report.figure("records/s in the cluster", len(seen.acked) / took)
    report.figure("records/s a node", len(seen.acked) / took / options.nodes)
    report.figure("p50 ms", percentile(seen.latencies, 50) * 1000)
    report.figure("p99 ms", percentile(seen.latencies, 99) * 1000)
    report.figure("errors", seen.errors)
    report.check("every record is acknowledged", len(seen.acked) == options.messages and not seen.errors)


def p3(options):
    options.messages = options.messages_given or 100_000
    report = Report("P3", vars(options))
    fresh_topic(options.bootstrap, "bench", 3, 3, 2)
    settings = {
        "retries": 3,
        "retry_backoff_ms": 100,
        "max_in_flight_requests_per_connection": 5,
        "compression_type": "snappy",
    }
    seen, took = STREAMS[options.client](options, "all", settings, report)
    stream_figures(report, options, seen, took)
    report.check("at least 2,900 records/s a node", len(seen.acked) / took / options.nodes >= 2900)
    report.check("p50 at most 40 ms", percentile(seen.latencies, 50) <= 0.040)
    report.check("p99 at most 100 ms", percentile(seen.latencies, 99) <= 0.100)
    check_read_back(report, read_back(options.bootstrap, "bench", 3, len(seen.acked)), seen.acked, exactly=False)
    return report


def uncompressed_stream(name, options, acks, rate_min):
    """100,000 short records from one producer that does not wait."""
    options.messages = options.messages_given or 100_000
    report = Report(name, vars(options))
    fresh_topic(options.bootstrap, "bench", 3, 3, 2)
    seen, took = STREAMS[options.client](options, acks, {}, report)
    stream_figures(report, options, seen, took)
    claim = f"at least {rate_min:,} records/s (a Python client may be the limit: see --client)"
    report.check(claim, len(seen.acked) / took >= rate_min)
    check_read_back(report, read_back(options.bootstrap, "bench", 3, len(seen.acked)), seen.acked, exactly=False)
    return report


def p1(options):
    report = uncompressed_stream("P1", options, 1, 60_000)
    report.check("p50 at most 5 ms", report.figures["p50 ms"] <= 5)
    return report


def p1c(options):
    return uncompressed_stream("P1c", options, "all", 54_000)


def p4(options):
    return uncompressed_stream("P4", options, 1, 50_000)
