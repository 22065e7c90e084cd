"""What a broker counts."""

import re
import urllib.request

SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{.*\})? (\S+)$")


def read(host, port, timeout=5):
    """{name: sum over its series}, by the address of a broker's HTTP listener."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=timeout) as answer:
        text = answer.read().decode()
    sums = {}
    for line in text.splitlines():
        if found := SAMPLE.match(line):
            sums[found[1]] = sums.get(found[1], 0) + float(found[2])
    return sums
