"""Brokers with search, and the two lengths of the tests."""

import itertools

import pytest

from harness import paths
from harness.broker import Eddy
from harness.cluster import Cluster
from harness.suites import own_broker, pytest_runtest_makereport, pytest_sessionfinish, pytest_terminal_summary  # noqa: F401
from api import Api

NAMES = itertools.count()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="more rounds, more records, and what takes minutes")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def is_long(request):
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def start_broker(tmp_path_factory):
    """Starts brokers on demand, each with a directory of its own, and ends what is left of them."""
    if not paths.EDDY.exists():
        pytest.skip(f"{paths.EDDY} is not built")
    started = []

    def start(**settings):
        broker = Eddy(tmp_path_factory.mktemp("eddy"), settings={name.replace("_", "."): value for name, value in settings.items()})
        started.append(broker)
        broker.start()
        broker.api = Api(broker.admin_port)
        return broker

    yield start
    for broker in started:
        broker.close()


@pytest.fixture(scope="session")
def broker(start_broker):
    """The broker that tests share: they may not stop it, and make topics by `topic`."""
    return start_broker()


@pytest.fixture
def topic(broker):
    """Makes an indexed topic on the shared broker, and deletes it afterwards."""
    made = []

    def make(partitions=1, **config):
        name = f"search-{next(NAMES)}"
        broker.create_topic(name, partitions, **{"search.enable": "true", **config})
        made.append(name)
        return name

    yield make
    for name in made:
        broker.delete_topic(name)


@pytest.fixture
def cluster(tmp_path):
    """Three brokers of the test's own."""
    if not paths.EDDY.exists():
        pytest.skip(f"{paths.EDDY} is not built")
    cluster = Cluster(Eddy, tmp_path)
    try:
        cluster.start()
        for node in cluster.nodes:
            node.api = Api(node.admin_port)
        yield cluster
    finally:
        cluster.close()
