"""kcat: a process per partition to produce, a process per topic to consume.

kcat takes its headers and its codec for the whole process, prints no offsets, and cannot set timestamps; with -Z an empty value goes out as
null, so a job cannot hold both.
"""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from driver import main, pause_seconds, record_to_json

KEY_END, RECORD_END, HEADERS_END = b"\x1f", b"\x1e", b"\x1d\x1d\n"
SECONDS = 60


def produce(bootstrap, job):
    partitions = sorted({record["partition"] for record in job["records"]})
    with ThreadPoolExecutor(len(partitions) if "until" in job else 1) as pool:
        failed = pool.map(lambda partition: produce_partition(bootstrap, job, partition), partitions)
        return [None] * len(job["records"]), [error for error in failed if error]


def produce_partition(bootstrap, job, partition):
    """Gives what kcat complained about."""
    records = [record for record in job["records"] if record["partition"] == partition]
    headers = records[0]["headers"]
    lines = [(record["key"] + KEY_END if record["key"] is not None else b"") + (record["value"] or b"") for record in records]
    command = ["kcat", "-q", "-P", "-Z", "-b", bootstrap, "-t", job["topic"], "-p", str(partition), "-z", job["codec"]]
    command += ["-K", KEY_END.decode(), "-D", RECORD_END.decode(), "-X", f"acks={job['acks']}"]
    command += ["-X", f"enable.idempotence={str(job['idempotent']).lower()}"]
    for name, value in headers:
        command += ["-H", f"{name}={value.decode()}"]
    if "until" in job:
        return feed(command, job, lines)
    done = subprocess.run(command, input=RECORD_END.join(lines), capture_output=True, timeout=SECONDS)
    return done.stderr.decode() or (done.returncode and f"ended with {done.returncode}")


def feed(command, job, lines):
    """Writes the records one by one. What kcat says of connections that break is no failure of a record."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in lines:
        process.stdin.write(line + RECORD_END)
        process.stdin.flush()
        time.sleep(pause_seconds(job))
    _, said = process.communicate(timeout=SECONDS)
    return said.decode() if process.returncode or b"Delivery failed" in said else None


def parse(topic, data):
    while data:
        numbers, data = data.split(b"|", 1)
        partition, offset, timestamp, key_length, value_length = (int(number) for number in numbers.split(b" "))
        key, data = (data[:key_length], data[key_length:]) if key_length >= 0 else (None, data)
        value, data = (data[:value_length], data[value_length:]) if value_length >= 0 else (None, data)
        text, data = data.split(HEADERS_END, 1)
        pairs = [pair.split(b"=", 1) for pair in text.split(b",")] if text else []
        headers = [(name.decode(), None if header == b"NULL" else header) for name, header in pairs]
        yield record_to_json(topic, partition, offset, timestamp, key, value, headers)


def consume_topic(bootstrap, topic):
    command = ["kcat", "-q", "-C", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning", "-X", "fetch.wait.max.ms=20"]
    command += ["-X", "check.crcs=true", "-f", r"%p %o %T %K %S|%k%s%h" + HEADERS_END.decode()]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True)
    return list(parse(topic, done.stdout))


def consume(bootstrap, topics):
    with ThreadPoolExecutor(4) as pool:
        for records in pool.map(lambda topic: consume_topic(bootstrap, topic), topics):
            yield from records


main(produce, consume)
