"""Consumer groups with real clients: who owns what, what is read, and from where it goes on.

Rules: R-3.50 to R-3.63 (classic protocol), R-3.70 to R-3.77 (KIP-848).
"""

import time
from functools import partial

import pytest
from confluent_kafka import Producer

from harness.at_once import at_once
from harness.clients import CLIENTS
from harness.members import Members
from harness.raw_kafka import GROUP_RESOURCE, NONE, Connection

PARTITIONS = 4
KINDS = [(name, assignment) for name, client in CLIENTS.items() for assignment in client.assignments]
# Those that differ in what the broker does when a member dies, or in how a client reads: cooperative members are classic ones, too.
PROTOCOLS = [(name, assignment) for name, assignment in KINDS if assignment != "cooperative"]


def produce(broker, topic, values, timestamp=0):
    """Writes `values` round the partitions."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    failed = []
    for number, value in enumerate(values):
        producer.produce(
            topic, value=value, partition=number % PARTITIONS, timestamp=timestamp + number if timestamp else 0,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
    assert producer.flush(30) == 0 and not failed


def values(prefix, count):
    return [f"{prefix}-{number}" for number in range(count)]


def read(member):
    return [value for _, _, _, value in member.records]


def owns(*partitions):
    return lambda member: member.partitions is not None and {index for _, index in member.partitions} == set(partitions)


@at_once(KINDS)
def test_a_member_reads_everything_and_the_next_goes_on_where_it_committed(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"resume-{name}-{assignment}"), PARTITIONS), unique("resume")
    first_half, second_half = values("a", 400), values("b", 200)
    produce(broker, topic, first_half)
    first = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    first.wait(lambda member: member.committed >= len(first_half), "reads and commits the first half")
    assert sorted(read(first)) == sorted(first_half)
    first.close()
    produce(broker, topic, second_half)
    second = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    second.wait(lambda member: member.committed >= len(second_half), "reads and commits the second half")
    assert sorted(read(second)) == sorted(second_half)
    second.close()


@at_once(KINDS)
def test_two_members_share_the_partitions_and_one_takes_over_when_the_other_leaves(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"share-{name}-{assignment}"), PARTITIONS), unique("share")
    one = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    one.wait(owns(0, 1, 2, 3), "owns everything")
    two = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    two.wait(lambda member: len(member.partitions or ()) == 2, "owns half")
    one.wait(lambda member: len(member.partitions or ()) == 2, "gives half away")
    assert one.partitions | two.partitions == {(topic, index) for index in range(PARTITIONS)}
    written = values("a", 200)
    produce(broker, topic, written)
    for member in (one, two):
        member.wait(lambda member: member.committed >= 100, "reads its half")
    assert sorted(read(one) + read(two)) == sorted(written)
    two.close()
    one.wait(owns(0, 1, 2, 3), "takes over")
    more = values("b", 200)
    produce(broker, topic, more)
    one.wait(lambda member: member.committed >= 300, "reads everything")
    assert sorted(read(one) + read(two)) == sorted(written + more)
    one.close()


@at_once(PROTOCOLS)
def test_a_killed_members_partitions_move_within_its_session_timeout(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"killed-{name}"), PARTITIONS), unique("killed")
    if assignment == "consumer":
        with Connection(broker) as connection:
            assert connection.set_config(GROUP_RESOURCE, group, "consumer.session.timeout.ms", "6000") == NONE
    one = members.start(CLIENTS[name], group, [topic], assignment=assignment, session_ms=6_000)
    two = members.start(CLIENTS[name], group, [topic], assignment=assignment, session_ms=6_000)
    for member in (one, two):
        member.wait(lambda member: len(member.partitions or ()) == 2, "owns half")
    produce(broker, topic, values("a", 40))
    for member in (one, two):
        member.wait(lambda member: member.committed >= 20, "reads its half")
    two.kill()
    produce(broker, topic, values("b", 40))
    one.wait(owns(0, 1, 2, 3), "takes over", seconds=30)
    one.wait(lambda member: member.committed >= 60, "reads what the other would have")
    assert sorted(read(one) + read(two)) == sorted(values("a", 40) + values("b", 40))


@at_once([(name, assignment) for name, assignment in PROTOCOLS if assignment in CLIENTS[name].static_members])
def test_a_static_member_comes_back_to_its_partitions_without_a_rebalance(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"static-{name}"), PARTITIONS), unique("static")
    start = partial(members.start, CLIENTS[name], group, [topic], assignment=assignment, session_ms=30_000)
    # The one that stays is the leader: a leader that comes back may ask for a rebalance.
    one = start(instance="one").wait(owns(0, 1, 2, 3), "owns everything")
    two = start(instance="two")
    for member in (one, two):
        member.wait(lambda member: len(member.partitions or ()) == 2, "owns half")
    its_own, told = two.partitions, one.assignments
    if assignment == "consumer":
        # KIP-848: an id is taken until its member says that it goes for a while, or until its session ends.
        two.close()
    else:
        two.kill()
    two = start(instance="two")
    two.wait(lambda member: bool(member.partitions), "has partitions again")
    assert two.partitions == its_own
    assert (one.assignments, len(one.partitions)) == (told, 2), "the other member has noticed nothing"


@at_once([(name, assignment) for name, assignment in PROTOCOLS if CLIENTS[name].seeks])
def test_seek_pause_and_lookup_by_time(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"seek-{name}"), PARTITIONS), unique("seek")
    began = int(time.time() * 1000) - 3_600_000
    written = values("a", 80)
    produce(broker, topic, written, timestamp=began)
    member = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    member.wait(lambda member: member.committed >= 80, "reads everything")
    member.tell("seek", topic, 1, 15)
    member.wait(lambda member: member.committed >= 85, "reads from there")
    assert [record[1:3] for record in member.records[80:]] == [(1, offset) for offset in range(15, 20)]
    # Partition 2 holds records 2, 6, 10, … of the timestamps `began` + number.
    member.tell("seek-to-time", topic, 2, began + 60)
    member.wait(lambda member: member.committed >= 90, "reads from that time on")
    assert [record[1:3] for record in member.records[85:]] == [(2, offset) for offset in range(15, 20)]
    member.tell("pause")
    before = len(member.records)
    produce(broker, topic, values("b", 40))
    time.sleep(1)
    assert len(member.records) == before, "a paused member reads nothing"
    member.tell("resume")
    member.wait(lambda member: member.committed >= before + 40, "reads what came meanwhile")
    member.close()


@at_once(PROTOCOLS)
def test_members_are_given_the_partitions_that_a_topic_grows_by(broker, unique, members, name, assignment):
    topic, group = broker.create_topic(unique(f"grows-{name}"), 2), unique("grows")
    member = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    member.wait(owns(0, 1), "owns what there is")
    broker.grow_topic(topic, PARTITIONS)
    member.wait(owns(0, 1, 2, 3), "owns what came later, too")
    produce(broker, topic, values("a", 40))
    member.wait(lambda member: member.committed >= 40, "reads all of them")
    member.close()


@at_once([(name, assignment) for name, assignment in PROTOCOLS if assignment in CLIENTS[name].patterns])
def test_members_subscribe_by_pattern_to_topics_that_are_there_and_that_come(broker, unique, members, name, assignment):
    prefix, group = unique(f"pattern-{name}"), unique("pattern")
    broker.create_topic(f"other-{prefix}-0")
    topics = [broker.create_topic(f"{prefix}-{number}") for number in range(2)]
    member = members.start(CLIENTS[name], group, [f"^{prefix}-.*"], assignment=assignment)
    member.wait(lambda member: member.partitions == {(topic, 0) for topic in topics}, "owns the topics that match")
    topics.append(broker.create_topic(f"{prefix}-2"))
    member.wait(lambda member: member.partitions == {(topic, 0) for topic in topics}, "owns the one that came")
    member.close()


@at_once([(name, assignment) for name, assignment in KINDS if assignment != "consumer"])
def test_a_group_changes_its_protocol_with_its_members_while_it_works(broker, unique, members, name, assignment):
    """KIP-848: a classic group goes over to the new protocol with its first member that speaks it, and back with its last."""
    topic, group = broker.create_topic(unique(f"migrates-{name}"), PARTITIONS), unique("migrates")
    old = members.start(CLIENTS[name], group, [topic], assignment=assignment)
    old.wait(owns(0, 1, 2, 3), "owns everything")
    produce(broker, topic, values("a", 100))
    old.wait(lambda member: member.committed >= 100, "reads everything")
    new = members.start(CLIENTS["confluent-kafka"], group, [topic], assignment="consumer")
    for member in (new, old):
        member.wait(lambda member: len(member.partitions or ()) == 2, "owns half")
    assert old.partitions | new.partitions == {(topic, index) for index in range(PARTITIONS)}
    produce(broker, topic, values("b", 100))
    old.wait(lambda member: member.committed >= 150, "reads its half")
    new.wait(lambda member: member.committed >= 50, "reads its half")
    new.close()
    old.wait(owns(0, 1, 2, 3), "takes over")
    produce(broker, topic, values("c", 100))
    old.wait(lambda member: member.committed >= 250, "reads everything again")
    assert sorted(read(old) + read(new)) == sorted(values("a", 100) + values("b", 100) + values("c", 100))
    old.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["kafka-python-2.3", "confluent-kafka"])
def test_three_members_that_join_one_after_the_other_read_everything_once(broker, unique, members, name):
    """C6 for one node, and trap X15."""
    topic, group = broker.create_topic(unique(f"staggered-{name}"), 12), unique("staggered")
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for number in range(12_000):
        producer.produce(topic, value=str(number), partition=number % 12)
        producer.poll(0)
    assert producer.flush(30) == 0
    joined = []
    for _ in range(3):
        joined.append(members.start(CLIENTS[name], group, [topic]))
        time.sleep(1)
    for member in joined:
        member.wait(lambda member: len(member.partitions or ()) == 4, "owns a third", seconds=30)
    deadline = time.monotonic() + 60
    while sum(member.committed for member in joined) < 12_000 and time.monotonic() < deadline:
        time.sleep(0.1)
    seen = [value for member in joined for value in read(member)]
    assert set(seen) == {str(number) for number in range(12_000)}
    # A partition that moves before its last commit is read again from there; nothing else is.
    assert len(seen) - len(set(seen)) <= 12_000 // 2


@pytest.mark.timeout(180)
def test_members_of_different_clients_share_a_group(broker, unique, members):
    topic, group = broker.create_topic(unique("mixed"), PARTITIONS), unique("mixed")
    names = ("kafka-python-2.3", "aiokafka", "confluent-kafka", "java")
    started = [members.start(CLIENTS[name], group, [topic]) for name in names]
    for member in started:
        member.wait(lambda member: len(member.partitions or ()) == 1, "owns one")
    assert set().union(*(member.partitions for member in started)) == {(topic, index) for index in range(PARTITIONS)}
    produce(broker, topic, values("a", 100))
    for member in started:
        member.wait(lambda member: member.committed >= 25, "reads its quarter")
    assert sorted(value for member in started for value in read(member)) == sorted(values("a", 100))


@pytest.mark.timeout(180)
def test_groups_outlive_a_kill_of_their_broker(own_broker, tmp_path):
    """R-3.64: committed offsets and members' ids come back with the broker, and the members go on where they were."""
    kinds = [("kafka-python-2.3", "range"), ("aiokafka", "range"), ("java", "consumer"), ("confluent-kafka", "consumer"), ("franz-go", "range")]
    topic = own_broker.create_topic("restart", PARTITIONS)
    produce(own_broker, topic, values("a", 100))
    with Members(own_broker, tmp_path) as members:
        started = [members.start(CLIENTS[name], f"{name}-{assignment}", [topic], assignment=assignment) for name, assignment in kinds]
        for member in started:
            member.wait(lambda member: member.committed >= 100, "reads everything")
        started.pop(0).close()
        own_broker.kill()
        own_broker.start()
        started.insert(0, members.start(CLIENTS[kinds[0][0]], "-".join(kinds[0]), [topic]))
        produce(own_broker, topic, values("b", 100))
        for member, before in zip(started, (0, 100, 100, 100, 100), strict=True):
            member.wait(lambda member, before=before: member.committed >= before + 100, "reads what came after")
            assert sorted(read(member)[before:]) == sorted(values("b", 100))
