"""Members of consumer groups, as processes that are told what to do and tell what happens to them."""

import collections
import itertools
import json
import os
import subprocess
import threading
import time

import pytest

from harness.broker import end_with_parent

SECONDS = 60
NUMBERS = itertools.count()


class Member:
    """A running driver with the verb `group`: see drivers/python/group.py."""

    def __init__(self, client, broker, directory, spec):
        if reason := client.missing():
            pytest.skip(reason)
        self.client, self.spec = client, spec
        path = directory / f"{client.name}-{next(NUMBERS)}.json"
        path.write_text(json.dumps(spec), encoding="utf-8")
        self.errors = open(path.with_suffix(".err"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*client.command, "group", broker.bootstrap, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **client.environment},
            preexec_fn=end_with_parent,
        )
        self.changed = threading.Condition()
        self.partitions = None
        self.assignments = 0
        self.committed = 0
        self.records = []
        self.done = collections.Counter()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            if not line.startswith("{"):
                continue
            event = json.loads(line)
            with self.changed:
                if event["event"] == "assigned":
                    self.partitions = {tuple(partition) for partition in event["partitions"]}
                    self.assignments += 1
                elif event["event"] == "record":
                    self.records.append((event["topic"], event["partition"], event["offset"], event["value"]))
                elif event["event"] == "committed":
                    self.committed = len(self.records)
                elif event["event"] == "done":
                    self.done[event["command"]] += 1
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait(self, condition, what, seconds=SECONDS):
        """Waits until `condition(self)`; a member that ended cannot fulfil it any more."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition(self):
                left = deadline - time.monotonic()
                ended = self.process.poll() is not None
                if left <= 0 or ended:
                    state = f"ended with {self.process.returncode}" if ended else f"not within {seconds} s"
                    pytest.fail(f"{self.client.name}: {what}: {state}\n{self}\n{self.error_text()}", pytrace=False)
                self.changed.wait(min(left, 0.2))
        return self

    def tell(self, *words):
        """Gives a command and waits until it is carried out."""
        before = self.done[words[0]]
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        self.wait(lambda member: member.done[words[0]] > before, f"{words[0]} is carried out")

    def close(self):
        """Leaves the group."""
        if self.process.poll() is None:
            self.process.stdin.write("close\n")
            self.process.stdin.close()
            self.process.wait(SECONDS)
        if self.process.returncode != 0:
            pytest.fail(f"{self.client.name} ended with {self.process.returncode}\n{self.error_text()}", pytrace=False)

    def kill(self):
        self.process.kill()
        self.process.wait(SECONDS)

    def error_text(self):
        self.errors.flush()
        self.errors.seek(0)
        return self.errors.read()[-4000:]

    def __str__(self):
        return f"owns {self.partitions}, read {len(self.records)}, committed {self.committed}"


class Members:
    """Starts members, and ends what is left of them. A member ends with the thread that started it, too."""

    def __init__(self, broker, directory):
        self.broker, self.directory, self.started = broker, directory, []

    def start(self, client, group, topics, instance=None, assignment="range", session_ms=10_000):
        spec = {"group": group, "topics": topics, "instance": instance, "assignment": assignment, "session_ms": session_ms}
        member = Member(client, self.broker, self.directory, spec)
        self.started.append(member)
        return member

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.started:
            if member.process.poll() is None:
                member.kill()
            member.errors.close()
