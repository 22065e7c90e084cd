"""The command line that every client driver offers, and the records that go through it.

    DRIVER produce BOOTSTRAP JOBS     one JSON job a line; prints one JSON answer a line
    DRIVER consume BOOTSTRAP TOPICS   one topic a line; prints one JSON record a line, each partition from its start to its end
    DRIVER group BOOTSTRAP SPEC       a member of a group: see group.py

A job is {"topic", "codec", "acks", "idempotent", "records"}; a record is {"partition", "timestamp", "key", "value", "headers"} with keys and
values in base64 or null, headers as [name, base64 or null] pairs, and a null timestamp where the client chooses. A job with "one_by_one" sends
each record as a batch of its own (the drivers that the batching tests use honour it). A job with "pace_ms" and "until" goes on for as long as
there is no file of the name in "until": it waits so many milliseconds after each record, and sends what is left when the file is there. The answer to a job is {"topic", "offsets", "errors"}:
the acknowledged offset of each record in order, null where the client learns none.
"""

import base64
import json
import os
import sys


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def record_from_json(record):
    return {
        "partition": record["partition"],
        "timestamp": record["timestamp"],
        "key": decode(record["key"]),
        "value": decode(record["value"]),
        "headers": [(name, decode(value)) for name, value in record["headers"]],
    }


def pause_seconds(job):
    """How long to wait after a record."""
    return job["pace_ms"] / 1000 if "until" in job and not os.path.exists(job["until"]) else 0


def record_to_json(topic, partition, offset, timestamp, key, value, headers):
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp,
        "key": encode(key),
        "value": encode(value),
        "headers": [[name, encode(data)] for name, data in headers],
    }


def main(produce, consume, group=None):
    """Runs `produce(bootstrap, job)` for each job or `consume(bootstrap, topics)`; both give what is to be printed. Or runs
    `group(bootstrap, spec)`, which prints for itself."""
    verb, bootstrap, path = sys.argv[1:4]
    with open(path, encoding="utf-8") as lines:
        if verb == "produce":
            for line in lines:
                job = json.loads(line)
                job["records"] = [record_from_json(record) for record in job["records"]]
                offsets, errors = produce(bootstrap, job)
                print(json.dumps({"topic": job["topic"], "offsets": offsets, "errors": errors}), flush=True)
        elif verb == "consume":
            topics = [line.strip() for line in lines if line.strip()]
            for record in consume(bootstrap, topics):
                print(json.dumps(record))
        elif verb == "group" and group is not None:
            group(bootstrap, json.load(lines))
        else:
            sys.exit(f"unknown verb: {verb}")
