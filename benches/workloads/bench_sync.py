#!/usr/bin/env python3
"""128 kafka-python producers, each in a thread of its own and waiting for each record, three brokers, acks=all. P2 of README.md."""

import run

if __name__ == "__main__":
    run.main("P2", nodes=3, progress=False, description=__doc__)
