"""Clients of three brokers while one of them is killed or they are restarted one by one: they go on, and lose and repeat nothing.

Rules: R-3.100 to R-3.108.
"""

import contextlib

import pytest

from harness.clients import CLIENTS
from harness.live import Live
from harness.members import Members

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(480)]
SHORT = ("confluent-kafka", "kafka-python-2.3", "franz-go")
# Not the one to bootstrap from: some clients start processes while it is down.
KILLED = 2


# So many clients are at work at a time.
WAVE = 4
NAMES = [pytest.param(name, marks=pytest.mark.short if name in SHORT else ()) for name in CLIENTS]


class Waves:
    """The selected clients, a few at a time through a kill of their own; a wave runs when the first of its clients is asked for."""

    def __init__(self, names, run):
        self.waves = {name: names[number // WAVE * WAVE :][:WAVE] for number, name in enumerate(names)}
        self.run, self.lives = run, {}

    def of(self, name):
        wave = tuple(self.waves[name])
        if wave not in self.lives:
            self.lives[wave] = self.run([CLIENTS[one] for one in wave])
        return self.lives[wave]


@pytest.fixture(scope="module")
def killed(request, shared_cluster, unique, tmp_path_factory):
    """Waves of clients at work while a broker is killed and comes back."""

    def run(clients):
        cluster, directory = shared_cluster.mend(), tmp_path_factory.mktemp("killed")
        members = opened.enter_context(Members(cluster, directory))
        live = Live(clients, cluster, unique, members, directory)
        opened.callback(live.close)
        live.wait_until_all_write("at first")
        cluster.node(KILLED).kill()
        live.wait_until_all_write("with a broker dead")
        cluster.node(KILLED).start()
        cluster.wait_until_whole()
        live.wait_until_all_write("with the broker back")
        live.finish()
        return live

    cases = [item.callspec.params["name"] for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    with contextlib.ExitStack() as opened:
        yield Waves([name for name in CLIENTS if name in cases], run)


@pytest.mark.parametrize("name", NAMES)
def test_a_client_goes_on_through_the_kill_of_a_broker_and_what_was_acknowledged_is_there_once(killed, name):
    if reason := CLIENTS[name].missing():
        pytest.skip(reason)
    live = killed.of(name)
    live.check(name)
    live.works[name].check_reads()


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
