"""The verb `group` of the drivers: one member of a consumer group, which prints what happens to it and does what it is told.

    DRIVER group BOOTSTRAP SPEC      SPEC is a file with one JSON object

The object: {"group", "topics", "instance", "assignment", "session_ms"}; "topics" are names, or one regular expression that starts with "^";
"instance" is the static id or null, "assignment" is range, cooperative or consumer (KIP-848). The member reads from the earliest offset on and
commits what it has printed whenever it printed something; where a commit fails, as while its coordinator moves, with the next one. It prints one JSON object a line:

    {"event": "assigned", "partitions": [[topic, partition], ...]}      all it owns now, whenever that changed
    {"event": "record", "topic", "partition", "offset", "value"}        the value as text
    {"event": "committed"}                                               what was printed before is committed
    {"event": "done", "command"}                                         a command was carried out

and takes commands from its standard input, one a line: `pause` and `resume` (all it owns), `seek TOPIC PARTITION OFFSET`,
`seek-to-time TOPIC PARTITION MILLISECONDS`, `close` (leaves the group and ends; the end of the input too).
"""

import json
import queue
import sys
import threading


def say(event, **rest):
    print(json.dumps({"event": event, **rest}), flush=True)


def say_assigned(partitions):
    say("assigned", partitions=sorted([topic, partition] for topic, partition in partitions))


def say_record(topic, partition, offset, value):
    say("record", topic=topic, partition=partition, offset=offset, value=value.decode())


def until_closed():
    """Gives the words of the command that has come on the standard input meanwhile, none as a rule, again and again until the member is to close."""
    commands = queue.Queue()

    def read():
        for line in sys.stdin:
            commands.put(line.split())
        commands.put(["close"])

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            command = commands.get_nowait()
        except queue.Empty:
            command = []
        if command == ["close"]:
            return
        yield command


def subscription(topics):
    """The arguments of `subscribe` in kafka-python and aiokafka."""
    return {"pattern": topics[0]} if topics[0].startswith("^") else {"topics": topics}
