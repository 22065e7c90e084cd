#!/usr/bin/env python3
"""One kafka-python producer that does not wait, three brokers: 100,000 short records, acks=all, snappy. P3 of README.md."""

import run

if __name__ == "__main__":
    run.main("P3", nodes=3, progress=True, description=__doc__)
