"""What holds on one connection: the order of answers, acks=0, parked fetches, and the address that a broker gives for itself."""

import socket
import struct
import subprocess
import time

import pytest
from confluent_kafka import Producer

from harness import paths
from harness import raw_kafka as raw
from harness.raw_batches import batch, record, values
from harness.raw_kafka import Connection
from harness.raw_wire import Reader, array, string

pytestmark = pytest.mark.one_node


def test_answers_leave_in_the_order_of_the_requests_behind_a_parked_fetch(broker, unique):
    topic = broker.create_topic(unique("order"))
    with Connection(broker) as connection:
        started = time.monotonic()
        sent = [connection.send(raw.FETCH, 4, connection.fetch_request(topic, 0, 0, max_wait_ms=1000))]
        sent += [connection.send(raw.METADATA, 4, array([string(topic)]) + b"\x00") for _ in range(5)]
        sent += [connection.send(raw.API_VERSIONS, 0)]
        assert [connection.receive()[0] for _ in sent] == sent
        assert 0.9 < time.monotonic() - started < 5


def test_a_produce_wakes_a_parked_fetch(broker, unique):
    topic = broker.create_topic(unique("wake"))
    with Connection(broker) as reader, Connection(broker) as writer:
        reader.send(raw.FETCH, 4, reader.fetch_request(topic, 0, 0, max_wait_ms=10_000))
        time.sleep(0.3)
        started = time.monotonic()
        assert writer.produce(topic, 0, batch([record(0)]))[0] == raw.NONE
        reader.receive()
        assert time.monotonic() - started < 1


def test_acks_0_is_never_answered(broker, unique):
    topic = broker.create_topic(unique("acks0"))
    with Connection(broker) as connection:
        for number in range(10):
            connection.send(raw.PRODUCE, 3, connection.produce_request(topic, 0, batch([record(0, value=b"%d" % number)]), acks=0))
            _, topics = connection.metadata([topic])
            assert topics[topic] == (raw.NONE, 1)
        # Nothing says when such a record is readable, only that it soon is.
        deadline = time.monotonic() + 5
        while connection.list_offset(topic, 0, -1)[2] < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        error, high_watermark, data = connection.fetch(topic, 0, 0)
        assert (error, high_watermark) == (raw.NONE, 10)
        assert values(data) == [(number, b"%d" % number) for number in range(10)]


def test_a_refused_acks_0_closes_the_connection(broker, unique):
    with Connection(broker) as connection:
        connection.send(raw.PRODUCE, 3, connection.produce_request(unique("no-such-topic"), 0, batch([record(0)]), acks=0))
        assert connection.is_closed()


def test_pipelined_produces_are_appended_in_order(broker, unique):
    topic = broker.create_topic(unique("pipeline"))
    with Connection(broker) as connection:
        sent = [
            connection.send(raw.PRODUCE, 3, connection.produce_request(topic, 0, batch([record(0, value=b"%d" % number)]), acks=-1))
            for number in range(200)
        ]
        assert [connection.receive()[0] for _ in sent] == sent
        _, _, data = connection.fetch(topic, 0, 0)
        assert values(data) == [(number, b"%d" % number) for number in range(200)]


def test_a_java_consumer_closes_during_a_long_poll(broker, unique):
    if not paths.JAVA_CLASSES.exists():
        pytest.skip(f"{paths.JAVA_CLASSES} is not installed")
    topic = broker.create_topic(unique("long-poll"))
    done = subprocess.run(paths.java("CloseDuringPoll", broker.bootstrap, topic), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 3000


def test_unsent_halves_of_two_requests_do_not_mix(broker, unique):
    topic = broker.create_topic(unique("halves"))
    with Connection(broker) as one, Connection(broker) as two:
        body = array([string(topic)]) + b"\x00"
        frames = []
        for correlation in (1, 2):
            request = struct.pack(">hhi", raw.METADATA, 4, correlation) + string("half") + body
            frames.append(struct.pack(">i", len(request)) + request)
        for start, end in ((0, 7), (7, 20), (20, None)):
            one.send_raw(frames[0][start:end])
            two.send_raw(frames[1][start:end])
        assert one.receive()[0] == 1
        assert two.receive()[0] == 2


ADDRESSES = {
    "ipv4": ("127.0.0.1", "127.0.0.1"),
    "ipv6": ("::1", "::1"),
    "localhost": ("localhost", "localhost"),
    "hostname": (socket.gethostname(), socket.gethostname()),
    "any_ipv4": ("0.0.0.0", "127.0.0.1"),
    "any_ipv6": ("::", "::1"),
}


@pytest.mark.parametrize("form", ADDRESSES)
def test_the_broker_gives_an_address_that_clients_can_reach(start_broker, form):
    listen, host = ADDRESSES[form]
    broker = start_broker(listen=listen, host=host)
    try:
        with Connection(broker) as connection:
            [(_, advertised_host, advertised_port)], _ = connection.metadata([])
        assert advertised_port == broker.port
        assert advertised_host not in ("", "0.0.0.0", "::", "[::]", None)
        assert "[" not in advertised_host and f":{broker.port}" not in advertised_host
        with socket.create_connection((advertised_host, advertised_port), timeout=5):
            pass
        broker.create_topic("addressed")
        producer = Producer({"bootstrap.servers": broker.bootstrap})
        producer.produce("addressed", b"value")
        assert producer.flush(20) == 0
    finally:
        broker.close()


def test_produce_v7_answers_the_log_start_offset(broker, unique):
    topic = broker.create_topic(unique("v7"))
    with Connection(broker) as connection:
        reader = connection.ask(raw.PRODUCE, 7, connection.produce_request(topic, 0, batch([record(0)])))
        assert isinstance(reader, Reader)
        [(name, [answer])] = reader.array(lambda: (reader.string(), reader.array(lambda: reader.take(">ihqqq"))))
        assert name == topic
        assert answer == (0, raw.NONE, 0, -1, 0)
        assert reader.take(">i") == 0
        assert reader.left() == 0
