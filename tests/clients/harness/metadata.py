"""What one broker says about its cluster."""

from harness.raw_kafka import METADATA, Connection


def ask(node, topics=None, auto_create=False, timeout=15):
    """(brokers, {(topic, partition): State}, controller) of every topic, or of some; OSError when nobody answers."""
    with Connection(node, timeout) as connection:
        brokers, controller, found = connection.describe(topics, auto_create)
    states = {(topic, index): state for topic, (_, partitions) in found.items() for index, state in partitions.items()}
    return sorted(number for number, _, _ in brokers), states, controller


def incomplete(nodes):
    """Why a cluster of these brokers is not whole; None when each of them knows all of them, and has every replica in sync."""
    numbers = [node.number for node in nodes]
    for node in nodes:
        try:
            brokers, states, _ = ask(node)
        except OSError as error:
            return f"node {node.number} does not answer: {error!r}"
        if brokers != numbers:
            return f"node {node.number} knows the brokers {brokers}"
        for (topic, partition), state in states.items():
            if not state.whole:
                return f"node {node.number}: {topic}-{partition}: {state}"
    return None


def catalogue(node, timeout=20):
    """Everything that a broker knows of brokers and topics, as the bytes of its answer to Metadata v12, topic ids included."""
    with Connection(node, timeout) as connection:
        # The header's tags, no list of topics, not to be made, without authorized operations, no tags.
        return connection.ask(METADATA, 12, b"\0\0\0\0\0").data[4:]
