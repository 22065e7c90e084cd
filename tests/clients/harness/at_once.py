"""Tests whose time is mostly waiting, run for several clients at once."""

import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.members import Members

WORKERS = 8


@pytest.fixture(scope="session")
def workers():
    with ThreadPoolExecutor(WORKERS) as pool:
        yield pool
        pool.shutdown(cancel_futures=True)


def at_once(cases):
    """Makes a test for each case, a (client, assignment) pair, of `test(broker, unique, members, client, assignment)`.

    All the cases that are selected start, a few at a time, when the first of them is due; each then waits for its own end, and fails or
    skips as it did. `test` must do with its own topics, groups and members alone.
    """

    def decorate(test):
        started = {}

        def run_case(broker, unique, directory, case):
            with Members(broker, directory) as members:
                test(broker, unique, members, *case)

        @pytest.mark.timeout(240)
        @pytest.mark.parametrize("case", cases, ids=["-".join(case) for case in cases])
        def run(request, broker, unique, tmp_path_factory, workers, case):
            if not started:
                directory = tmp_path_factory.mktemp("members")
                for item in request.session.items:
                    if getattr(item, "function", None) is run:
                        one = item.callspec.params["case"]
                        started[one] = workers.submit(run_case, broker, unique, directory, one)
            started[case].result()

        run.__name__, run.__doc__, run.__module__ = test.__name__, inspect.getdoc(test), test.__module__
        return run

    return decorate
