"""`eddy search` against a broker, as a person and as a script use it."""

import functools
import json
import signal
import socket
import subprocess
import time

import pytest

from commands import environment, run
from harness import paths
from harness.waiting import wait_for
from records import produce


@pytest.fixture
def eddy(broker, tmp_path):
    """Runs a command: (exit code, stdout, stderr)."""
    return functools.partial(run, broker, tmp_path)


def test_a_search_prints_what_was_written(broker, topic, eddy):
    name = topic()
    produce(broker.bootstrap, name, [{"n": n, "level": "error" if n == 7 else "info"} for n in range(10)])
    code, out, err = eddy("search", name, "level:error", "--wait")
    assert (code, out, err) == (0, '{"level":"error","n":7}\n', "") or (code, json.loads(out)["n"], err) == (0, 7, "")
    code, out, _ = eddy("search", name, "--oldest", "-o", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["offset"] for record in records] == list(range(10))
    assert set(records[0]) == {"topic", "partition", "offset", "timestamp", "key", "value", "headers"}
    code, out, _ = eddy("search", name, "-o", "json", "-n", "3")
    assert [record["offset"] for record in json.loads(out)] == [9, 8, 7]
    code, out, err = eddy("search", name, "-n", "3")
    assert out.count("\n") == 3 and "3 of 10 records" in err
    code, out, _ = eddy("search", name, "level:error", "--color", "always", "-o", "wide")
    assert "\x1b[" in out and "error" in out
    code, out, _ = eddy("search", name, "--until", "1h")
    assert (code, out) == (0, "")
    assert eddy("search", name, "--since", "1h", "-o", "jsonl")[1].count("\n") == 10


def test_more_than_one_page_is_streamed(broker, topic, eddy):
    name = topic(3)
    produce(broker.bootstrap, name, [{"n": n} for n in range(2500)])
    broker.api.count(name, refresh="wait_for")
    _, out, _ = eddy("search", name, "-n", "2400", "-o", "jsonl")
    places = [(record["partition"], record["offset"]) for record in map(json.loads, out.splitlines())]
    assert len(places) == len(set(places)) == 2400


def test_mistakes_say_what_to_do_and_have_their_exit_codes(broker, topic, eddy, tmp_path):
    name = topic()
    code, out, err = eddy("search", name, "level:error AND )")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith("error: ") and lines[1].strip() == "level:error AND )"
    assert lines[2].index("^") - 4 <= len("level:error AND )") and lines[-1].endswith("eddy explain ED-4503")
    assert eddy("search", "no-such-topic", "a")[0] == 4
    broker.create_topic("plain", 1)
    code, _, err = eddy("search", "plain", "a")
    assert code == 2 and "search.enable=true" in err, err
    broker.delete_topic("plain")
    assert eddy("explain", "ED-4503", http=False)[0] == 0


def test_a_port_where_nobody_listens_fails_at_once(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    done = subprocess.run([paths.EDDY, "search", "a", "b", "--http", address], capture_output=True, text=True, env=environment(tmp_path))
    assert time.monotonic() - began < 1
    assert done.returncode == 5
    assert done.stderr.startswith(f"error: cannot reach the broker's HTTP port at {address}: connection refused\n  fix: ")


def test_follow_prints_each_record_once_as_it_comes(broker, topic, tmp_path):
    name = topic(2)
    produce(broker.bootstrap, name, [{"n": n, "kind": "old"} for n in range(20)])
    broker.api.count(name, refresh="wait_for")
    command = [paths.EDDY, "search", name, "NOT kind:skip", "-n", "5", "--follow", "-o", "jsonl", "--http", f"127.0.0.1:{broker.admin_port}"]
    output = tmp_path / "out"
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file, env=environment(tmp_path))
    try:
        wait_for("the last of what was there", lambda: output.read_text().count("\n") == 5)
        for start in range(100, 400, 100):
            kinds = ("new", "skip")
            produce(broker.bootstrap, name, [{"n": start + n, "kind": kinds[n % 2]} for n in range(100)])
        wait_for("what came after", lambda: output.read_text().count("\n") >= 155, 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    numbers = [json.loads(line)["value"]["n"] for line in output.read_text().splitlines()]
    assert len(numbers) == len(set(numbers)) == 155
    assert sorted(numbers[5:]) == list(range(100, 400, 2))


def test_a_topic_that_is_there_is_back_filled_and_described(broker, eddy):
    name = "back-filled"
    broker.create_topic(name, 2)
    produce(broker.bootstrap, name, [{"n": n} for n in range(30_000)])
    code, out, err = eddy("topic", "alter", name, "--set", "search.enable=true", "--wait")
    assert code == 0 and f"{name}\tsearch.enable\tfalse\ttrue\n" in out, (out, err)
    assert "30000 records are searchable" in err
    assert broker.api.count(name) == 30_000
    code, out, err = eddy("topic", "describe", name)
    assert code == 0 and "\nindex: 30000 records · " in out and "lag 0 records" in out, (out, err)
    page = json.loads(eddy("topic", "describe", name, "-o", "json")[1])[0]
    assert sum(partition["records"] for partition in page["index"]["partitions"]) == 30_000
    # Without the HTTP port everything else is told.
    command = [paths.EDDY, "topic", "describe", name, "-b", broker.bootstrap, "--http", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment("/tmp"))
    assert done.returncode == 0 and name in done.stdout and "no word of the index" in done.stderr
    broker.delete_topic(name)
