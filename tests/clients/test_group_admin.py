"""What clients other than Kafka's own tools ask and change about groups."""

import shutil
import subprocess

import pytest
from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, ConsumerGroupType, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from kafka.admin import KafkaAdminClient
from kafka.errors import GroupIdNotFoundError, NoError, NonEmptyGroupError

from harness.clients import CLIENTS
from harness.members import Members

SECONDS = 20


@pytest.fixture
def group(broker, unique, tmp_path, request):
    """A group with one member that has committed what it read: (name, topic, member)."""
    (assignment, instance), name, topic = request.param, unique("admin"), broker.create_topic(unique("admin"), 2)
    produce(broker, topic, 20)
    with Members(broker, tmp_path) as members:
        member = members.start(CLIENTS["confluent-kafka"], name, [topic], instance=instance, assignment=assignment)
        member.wait(lambda member: member.committed >= 20, "reads everything")
        yield name, topic, member


def produce(broker, topic, count):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5})
    for number in range(count):
        producer.produce(topic, value=f"value-{number}", partition=number % 2)
    assert producer.flush(SECONDS) == 0


@pytest.mark.parametrize("group", [("range", "one"), ("consumer", "one")], indirect=True, ids=["classic", "consumer"])
def test_librdkafkas_admin_lists_and_describes_groups_and_is_refused_while_they_have_members(broker, group):
    name, topic, member = group
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    kind = {"range": ConsumerGroupType.CLASSIC, "consumer": ConsumerGroupType.CONSUMER}[member.spec["assignment"]]

    def listed(**filters):
        return {one.group_id: one for one in admin.list_consumer_groups(request_timeout=SECONDS, **filters).result().valid}

    found = listed(states={ConsumerGroupState.STABLE}, types={kind})[name]
    assert (found.state, found.type, found.is_simple_consumer_group) == (ConsumerGroupState.STABLE, kind, False)
    assert name not in listed(states={ConsumerGroupState.EMPTY})
    described = admin.describe_consumer_groups([name], request_timeout=SECONDS)[name].result()
    [one] = described.members
    assert (described.state, described.type) == (ConsumerGroupState.STABLE, kind)
    assert described.coordinator.port == broker.node(described.coordinator.id).port
    assert (one.client_id, one.group_instance_id) == ("rdkafka", "one")
    assert {(part.topic, part.partition) for part in one.assignment.topic_partitions} == member.partitions

    def committed():
        asked = ConsumerGroupTopicPartitions(name)
        answered = admin.list_consumer_group_offsets([asked], request_timeout=SECONDS)[name].result()
        return {part.partition: part.offset for part in answered.topic_partitions}

    def alter(offset):
        asked = ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, offset)])
        answered = admin.alter_consumer_group_offsets([asked], request_timeout=SECONDS)[name].result()
        return answered.topic_partitions[0].error

    assert committed() == {0: 10, 1: 10}
    # A group with members takes offsets from them only.
    assert alter(3).name() == "UNKNOWN_MEMBER_ID"
    with pytest.raises(KafkaException, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups([name], request_timeout=SECONDS)[name].result()
    # A static member stays a member when it closes.
    member.close()
    assert len(admin.describe_consumer_groups([name], request_timeout=SECONDS)[name].result().members) == 1


@pytest.mark.parametrize("group", [("range", None)], indirect=True)
def test_kafka_pythons_admin_describes_and_deletes_groups(broker, group):
    name, topic, member = group
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    [described] = admin.describe_consumer_groups([name])
    assert (described.state, described.protocol_type, described.protocol, len(described.members)) == ("Stable", "consumer", "range", 1)
    committed = admin.list_consumer_group_offsets(name)
    assert {part.partition: found.offset for part, found in committed.items()} == {0: 10, 1: 10}
    assert admin.delete_consumer_groups([name]) == [(name, NonEmptyGroupError)]
    member.close()
    [described] = admin.describe_consumer_groups([name])
    assert (described.state, described.members) == ("Empty", [])
    assert admin.delete_consumer_groups([name]) == [(name, NoError)]
    assert (name, "consumer") not in admin.list_consumer_groups()
    assert admin.delete_consumer_groups([name]) == [(name, GroupIdNotFoundError)]
    admin.close()


def test_kcat_goes_on_where_its_group_committed(broker, unique):
    """The oldest librdkafka here; it commits by itself when it ends."""
    if shutil.which("kcat") is None:
        pytest.skip("kcat is not installed")
    topic, group = broker.create_topic(unique("kcat"), 2), unique("kcat")

    def read():
        command = ["kcat", "-q", "-b", broker.bootstrap, "-e", "-X", "auto.offset.reset=earliest", "-f", "%p %s\n"]
        done = subprocess.run([*command, "-G", group, topic], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True)
        return sorted(done.stdout.splitlines())

    produce(broker, topic, 20)
    assert read() == sorted(f"{number % 2} value-{number}" for number in range(20))
    produce(broker, topic, 4)
    assert read() == sorted(f"{number % 2} value-{number}" for number in range(4))
