#!/usr/bin/env python3
"""One kafka-python producer and one broker: 100,000 short records, acks=1, progress at each 10,000. P1 of README.md."""

import run

if __name__ == "__main__":
    run.main("P1", nodes=1, progress=True, description=__doc__)
