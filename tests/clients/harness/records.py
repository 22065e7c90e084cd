"""Records to send: every shape that a client can say, the same for each run but for their time."""

import base64
import random
import time

PARTITIONS = 3
# Old enough that no client's own clock gives it by accident, young enough that retention keeps it.
BASE_TIMESTAMP = int(time.time()) * 1000 - 36_000_000
WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()


def record(partition, key=b"k", value=b"v", headers=(), timestamp=None):
    return {"partition": partition, "timestamp": timestamp, "key": key, "value": value, "headers": list(headers)}


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def to_json(item):
    return {
        **item,
        "key": encode(item["key"]),
        "value": encode(item["value"]),
        "headers": [[name, encode(value)] for name, value in item["headers"]],
    }


def from_json(item):
    return {
        **item,
        "key": decode(item["key"]),
        "value": decode(item["value"]),
        "headers": [(name, decode(value)) for name, value in item["headers"]],
    }


def text_lines(count, seed):
    """Lines of words as a log might hold them: compressible, and no two alike."""
    rng = random.Random(seed)
    for number in range(count):
        yield f"{number:08d} " + " ".join(rng.choices(WORDS, k=rng.randint(3, 12)))


def shapes(client, partition, seed):
    """One partition's records in order, as far as the client can say them."""
    rng = random.Random(seed * PARTITIONS + partition)
    lines = [line.encode() for line in text_lines(20, seed * PARTITIONS + partition)]
    if client.only_text:
        headers = [("source", b"text"), ("twice", b"first"), ("twice", b"second")]
        records = [record(partition, b"key-%d" % i, line, headers) for i, line in enumerate(lines)]
        records += [record(partition, None, b"no key", headers), record(partition, b"tombstone", None, headers)]
        return records
    records = [
        record(partition, b"key", b"value", timestamp=BASE_TIMESTAMP),
        record(partition, None, b"no key", timestamp=BASE_TIMESTAMP + 1),
        record(partition, b"tombstone", None, timestamp=BASE_TIMESTAMP + 2),
        record(partition, b"empty value", b"", timestamp=BASE_TIMESTAMP + 3),
        record(partition, b"", b"empty key", timestamp=BASE_TIMESTAMP + 4),
        record(partition, b"one header", b"v", [("name", b"text")], BASE_TIMESTAMP + 5),
        record(partition, b"headers twice", b"v", [("a", b"1"), ("b", b"x"), ("a", b"2"), ("a", b"1")], BASE_TIMESTAMP + 6),
        record(partition, b"empty header", b"v", [("empty", b"")], BASE_TIMESTAMP + 7),
        record(partition, "schlüssel-☃".encode(), "wert-☃".encode(), [("kopf-☃", "☃".encode())], BASE_TIMESTAMP + 8),
        record(partition, bytes(range(256)), bytes(reversed(range(256))), [("bytes", b"\xff\x80\x01")], BASE_TIMESTAMP + 9),
        record(partition, b"earlier than its batch", b"v", timestamp=BASE_TIMESTAMP - 3_600_000),
        record(partition, b"later than its batch", b"v", timestamp=BASE_TIMESTAMP + 3_600_000),
        record(partition, b"large, compressible", b"eddyline " * 12_000, timestamp=BASE_TIMESTAMP + 12),
        record(partition, b"large, random", rng.randbytes(20_000), timestamp=BASE_TIMESTAMP + 13),
        record(partition, b"the client's own time", b"v"),
    ]
    if client.null_header_values:
        records.append(record(partition, b"null header", b"v", [("null", None), ("set", b"s")], BASE_TIMESTAMP + 14))
    if client.empty_records:
        records.append(record(partition, None, None, timestamp=BASE_TIMESTAMP + 15))
    return records + [record(partition, b"line", line, timestamp=BASE_TIMESTAMP + 20 + i) for i, line in enumerate(lines)]


def interleaved(client, seed):
    """All partitions' records, taken from the partitions in turn, so that one request carries several partitions."""
    columns = [shapes(client, partition, seed) for partition in range(PARTITIONS)]
    return [item for row in zip(*columns, strict=True) for item in row]
