"""Clients at work while something happens to the brokers: what they were told, and what is there in the end."""

import time
from concurrent.futures import ThreadPoolExecutor

from harness.clients import DriverError
from harness.records import record

PARTITIONS = 3
# At this pace the records last for longer than anything that happens to a broker takes.
PACE_MS = 15
RECORDS = 9000
SECONDS = 90


class Work:
    """A client that writes its own topic at a pace, to all replicas, and members of its group that read it, where it has groups."""

    def __init__(self, client, cluster, unique, members, directory, until):
        self.client, self.cluster = client, cluster
        self.topic = cluster.create_topic(unique(f"live-{client.name}"), partitions=PARTITIONS)
        self.values = [f"{client.name}-{number}".encode() for number in range(RECORDS)]
        self.job = {
            "topic": self.topic, "codec": "none", "acks": -1, "idempotent": client.idempotence, "pace_ms": PACE_MS, "until": str(until),
            "records": [record(number % PARTITIONS, None, value, timestamp=None) for number, value in enumerate(self.values)],
        }  # fmt: skip
        self.directory = directory
        self.members = [
            (assignment, members.start(client, unique(f"live-{assignment}"), [self.topic], assignment=assignment))
            for assignment in client.assignments
            if assignment != "cooperative"
        ]
        self.answer = None

    def begin(self, pool):
        self.answer = pool.submit(lambda: self.client.produce(self.cluster.bootstrap, [self.job], self.directory)[0])

    def written(self):
        """The number of records in each partition, or None while one of them has no leader."""
        return self.cluster.ends(self.topic, PARTITIONS)

    def check_writes(self):
        """Nothing that was acknowledged is lost or elsewhere, no error was told, and an idempotent producer's records are there once each."""
        answer = self.answer.result()
        assert answer["errors"] == []
        read = self.client.consume(self.cluster.bootstrap, [self.topic], self.directory)[self.topic]
        found = {partition: [one["value"] for one in records] for partition, records in read.items()}
        for partition, records in read.items():
            assert [one["offset"] for one in records] == list(range(len(records))), f"partition {partition}"
        for number, (value, offset) in enumerate(zip(self.values, answer["offsets"], strict=True)):
            if offset is not None:
                assert found[number % PARTITIONS][offset] == value, f"record {number}"
        for partition in range(PARTITIONS):
            sent = self.values[partition::PARTITIONS]
            if self.client.idempotence:
                assert found[partition] == sent, f"partition {partition}: {difference(sent, found[partition])}"
            else:
                assert set(found[partition]) == set(sent), f"partition {partition}: {difference(sent, found[partition])}"

    def check_reads(self):
        """The members have read every record."""
        expected = {value.decode() for value in self.values}
        for assignment, member in self.members:
            what = f"reads everything as {assignment}"
            member.wait(lambda member: len(member.records) >= RECORDS and expected <= {one[3] for one in list(member.records)}, what)
            member.close()


def difference(sent, found):
    lost, more = set(sent) - set(found), len(found) - len(set(found))
    return f"{len(sent)} sent, {len(found)} found, {len(lost)} lost ({sorted(lost)[:3]}), {more} twice"


class Live:
    """Several clients at work until `finish`."""

    def __init__(self, clients, cluster, unique, members, directory):
        self.until = directory / "finish"
        self.pool = ThreadPoolExecutor(len(clients))
        self.works = {client.name: Work(client, cluster, unique, members, directory, self.until) for client in clients if not client.missing()}
        for work in self.works.values():
            work.begin(self.pool)
        # Those that did not go on in time, by client.
        self.stuck = {}

    def wait_until_all_write(self, what, more=20):
        """Waits until each partition of each client has grown; a client that ended, or that does not go on, is remembered and left behind."""
        left = {name: None for name in self.works if name not in self.stuck}
        deadline = time.monotonic() + SECONDS
        while left and time.monotonic() < deadline:
            for name, before in list(left.items()):
                ends = self.works[name].written()
                if ends is not None and before is None:
                    left[name] = ends
                elif ends is not None and all(end >= start + more for end, start in zip(ends, before, strict=True)):
                    del left[name]
                elif self.works[name].answer.done():
                    self.stuck[name] = f"{what}: has ended"
                    del left[name]
            time.sleep(0.1)
        self.stuck |= {name: f"{what}: not within {SECONDS} s" for name in left}

    def finish(self):
        """Lets the clients send what is left at once."""
        self.until.touch()

    def check(self, name):
        work = self.works[name]
        try:
            work.answer.result()
        except DriverError as error:
            raise AssertionError(str(error)) from None
        assert name not in self.stuck, self.stuck[name]
        work.check_writes()

    def close(self):
        self.finish()
        self.pool.shutdown(cancel_futures=True)
