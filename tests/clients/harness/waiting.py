"""Waiting for what comes true by itself: brokers of a cluster hear of a change one after the other."""

import time

SECONDS = 60


def wait_for(what, condition, seconds=SECONDS, pause=0.05):
    """Gives the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
    return found
