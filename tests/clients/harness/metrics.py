"""What a broker counts."""

import re
import urllib.request

SAMPLE = re.compile(r"(?P<series>(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})?) (?P<value>\S+)$")


def samples(host, port, timeout=5):
    """[(name, series with its labels, value)], by the address of a broker's HTTP listener."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=timeout) as answer:
        lines = answer.read().decode().splitlines()
    return [(found["name"], found["series"], float(found["value"])) for line in lines if (found := SAMPLE.match(line))]


def read(host, port, timeout=5):
    """{name: sum over its series}."""
    sums = {}
    for name, _, value in samples(host, port, timeout):
        sums[name] = sums.get(name, 0) + value
    return sums
