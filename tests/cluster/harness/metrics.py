"""What a broker counts."""

import urllib.request


def read(address, name, timeout=5):
    """The value of a metric, or the sum of its series, by the address of a broker's HTTP listener."""
    host, port = address
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=timeout) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
    return sum(float(value) for _, value in pairs)
