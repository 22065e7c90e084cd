"""Clients of three brokers while one of them is killed or they are restarted one by one: they go on, and lose and repeat nothing.

Rules: R-3.100 to R-3.108.
"""

import pytest

from harness.clients import CLIENTS
from harness.live import Live
from harness.members import Members

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]
SHORT = ("confluent-kafka", "kafka-python-2.3", "franz-go")
# Bootstraps are left alone: kcat has several processes.
KILLED = 2
SESSION_SECONDS = 3


def selected(request, every=CLIENTS):
    """The clients whose cases run: the module's work is theirs."""
    cases = {item.callspec.params["name"] for item in request.session.items if item.module is request.module and hasattr(item, "callspec")}
    return [CLIENTS[name] for name in every if name in cases]


NAMES = [pytest.param(name, marks=pytest.mark.short if name in SHORT else ()) for name in CLIENTS]


@pytest.fixture(scope="module")
def killed(request, shared_cluster, unique, tmp_path_factory):
    """All clients at work through the kill of a broker and its return."""
    cluster, directory = shared_cluster.mend(), tmp_path_factory.mktemp("killed")
    with Members(cluster, directory) as members:
        live = Live(selected(request), cluster, unique, members, directory)
        try:
            live.wait_until_all_write("at first")
            cluster.node(KILLED).kill()
            live.wait_until_all_write("with a broker dead")
            cluster.node(KILLED).start()
            cluster.wait_until_whole()
            live.wait_until_all_write("with the broker back")
            live.finish()
            yield live
        finally:
            live.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_producer_goes_on_through_the_kill_of_a_broker_and_nothing_acknowledged_is_lost(killed, name):
    killed.check(name)


@pytest.mark.parametrize("name", [param for param in NAMES if CLIENTS[param.values[0]].assignments])
def test_members_of_groups_go_on_through_the_kill_of_a_broker_and_read_everything(killed, name):
    killed.works[name].check_reads()


ROLLED = ("confluent-kafka", "java", "franz-go")


@pytest.fixture
def rolled(cluster, unique, tmp_path):
    with Members(cluster, tmp_path) as members:
        live = Live([CLIENTS[name] for name in ROLLED], cluster, unique, members, tmp_path)
        try:
            yield live
        finally:
            live.close()


def test_a_rolling_restart_is_seen_by_no_producer_and_by_no_group(cluster, rolled):
    """R-3.108: leaders move before their broker stops."""
    rolled.wait_until_all_write("at first")
    for node in cluster.nodes:
        assert node.stop() == cluster.clean_exit
        rolled.wait_until_all_write(f"without node {node.number}")
        node.start()
        cluster.wait_until_whole()
    rolled.wait_until_all_write("at last")
    rolled.finish()
    for name, work in rolled.works.items():
        rolled.check(name)
        work.check_reads()
