"""Brokers for the tests."""

import itertools
import os
from functools import partial

import pytest

from harness import paths, tools
from harness.at_once import workers  # noqa: F401
from harness.broker import KINDS, Broker
from harness.cluster import NODES, Cluster
from harness.members import Members
from harness.suites import own_broker, pytest_runtest_makereport, pytest_sessionfinish, pytest_terminal_summary  # noqa: F401

NAMES = itertools.count()


def pytest_addoption(parser):
    parser.addoption(
        "--against",
        default=os.environ.get("BROKER", "eddy"),
        help="eddy, kafka (Apache Kafka, started by the tests) or HOST:PORT of a running broker; default: $BROKER, else eddy",
    )
    parser.addoption(
        "--nodes",
        type=int,
        choices=(1, NODES),
        default=1,
        help="1: what needs no more than one broker, and a short selection of what needs three; 3: everything that runs on three",
    )
    parser.addoption(
        "--restart",
        action="store_true",
        help="with --nodes 3: the matrix is written while one of the brokers is restarted again and again",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "cluster: needs three brokers")
    config.addinivalue_line("markers", "short: of those with `cluster`, runs with --nodes 1, too")
    config.addinivalue_line("markers", "one_node: is about one broker, as are all with a broker of their own")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    one = config.getoption("--nodes") == 1

    def is_left_out(item):
        marks = {mark.name for mark in item.iter_markers()}
        if one:
            return "cluster" in marks and "short" not in marks
        return "one_node" in marks or not {"own_broker", "start_broker"}.isdisjoint(item.fixturenames)

    config.hook.pytest_deselected(items=[item for item in items if is_left_out(item)])
    items[:] = [item for item in items if not is_left_out(item)]


@pytest.fixture(scope="session")
def start_broker(request, tmp_path_factory):
    """Starts brokers on demand, each with a directory of its own, and ends what is left of them."""
    against = request.config.getoption("--against")
    started = []

    def start(**options):
        if against not in KINDS:
            pytest.skip("needs a broker that the tests may start")
        if against == "eddy" and not paths.EDDY.exists():
            pytest.skip(f"{paths.EDDY} is not built")
        broker = KINDS[against](tmp_path_factory.mktemp(against), **options)
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.close()


@pytest.fixture(scope="session")
def shared_cluster(request, tmp_path_factory):
    against = request.config.getoption("--against")
    if against not in KINDS:
        pytest.skip("needs brokers that the tests may start")
    if against == "eddy" and not paths.EDDY.exists():
        pytest.skip(f"{paths.EDDY} is not built")
    cluster = Cluster(KINDS[against], tmp_path_factory.mktemp(f"{against}-cluster"))
    try:
        yield cluster.start()
    finally:
        cluster.close()


@pytest.fixture
def cluster(shared_cluster):
    """Three brokers, all in sync, which the test may stop and kill: what it leaves down is started again for the next."""
    return shared_cluster.mend()


@pytest.fixture(scope="session")
def broker(request):
    """The broker or cluster that tests share: they may not stop it, change its configuration, or name a topic without `topic`."""
    against = request.config.getoption("--against")
    if request.config.getoption("--nodes") > 1:
        return request.getfixturevalue("shared_cluster")
    if against in KINDS:
        return request.getfixturevalue("start_broker")()
    host, _, port = against.rpartition(":")
    return Broker(host.strip("[]"), int(port))


@pytest.fixture(scope="session")
def restarts(request, broker):
    """Restarts one of three brokers, not the one to bootstrap from, for as long as the function that it is given says; None if that is not asked
    for."""
    return partial(broker.restart_while, 2) if request.config.getoption("--restart") else None


@pytest.fixture
def tool(broker):
    """Runs one of Kafka's tools against the shared broker."""
    return tools.against(broker)


@pytest.fixture
def members(broker, tmp_path):
    with Members(broker, tmp_path) as members:
        yield members


@pytest.fixture(scope="session")
def unique():
    """Makes a name that no other test uses, on a broker that outlives this run either."""
    return lambda name: f"{name}-{os.getpid()}-{next(NAMES)}"
