"""Ports for the brokers that tests start."""

import random
import socket

# Below what the system gives to outgoing connections, any of which would take the port of a broker that is down for a while. None is given twice.
FIRST, END = 12_000, 32_000
left = random.sample(range(FIRST, END), END - FIRST)


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                port = left.pop()
                probe.bind((host, port))
                return port
            except OSError:
                continue
