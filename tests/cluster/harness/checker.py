"""Judges a history of sends and polls, and the logs of the replicas, by the properties that a replicated log promises.

A history is a list of events as `history.py` writes them. `fail` means certainly not written, `info` means unknown: a wrong answer here makes
false alarms or hides real ones. Every function gives a list of violations, each with the id of its property; an empty list is a pass.
"""

import collections

from harness.history import FAIL, INFO, INVOKE, OK, POLL, RESEND, SEND

OUT_OF_ORDER_SEQUENCE = 45


class Violation(collections.namedtuple("Violation", "property detail")):
    def __str__(self):
        return f"{self.property}: {self.detail}"


def check_history(events, final):
    """`final` is what a fresh client read at the end: {key: [(offset, value)]}."""
    sends = pair_sends(events)
    return [
        *lost(sends, final),
        *places_agree(events, sends, final),
        *duplicates(final),
        *dense(final),
        *real_time_order(sends),
        *polls(events),
        *seen_disappears(events, final),
        *failed_appears(sends, final),
        *plausible_offsets(events),
        *resends(events, sends),
    ]


def pair_sends(events):
    """{value: {"invoked", "completed", "type", "offset", "key", "process"}}; a send without an end is `info`."""
    sends = {}
    for event in events:
        if event["f"] != SEND:
            continue
        if event["type"] == INVOKE:
            sends[event["value"]] = {
                "invoked": event["t"],
                "completed": None,
                "type": INFO,
                "offset": None,
                "key": event["key"],
                "process": event["process"],
            }
        elif event["value"] in sends:
            sends[event["value"]].update(completed=event["t"], type=event["type"], offset=event.get("offset"))
    return sends


def lost(sends, final):
    """L1: what was acknowledged is there, at its offset."""
    places = {key: dict(records) for key, records in final.items()}
    written = {key: set(records.values()) for key, records in places.items()}
    for value, send in sends.items():
        if send["type"] != OK:
            continue
        key, offset = send["key"], send["offset"]
        if offset is None or offset < 0:
            if value not in written.get(key, ()):
                yield Violation("L1", f"{value} acknowledged in {key}, not read")
        elif (there := places.get(key, {}).get(offset)) != value:
            yield Violation("L1", f"{value} acknowledged at {key}@{offset}, there is {there}")


def places_agree(events, sends, final):
    """L2: one offset has one value, for every client at every time."""
    seen = collections.defaultdict(set)
    for value, send in sends.items():
        if send["type"] == OK and send["offset"] is not None and send["offset"] >= 0:
            seen[send["key"], send["offset"]].add(value)
    for key, offset, value in polled(events):
        seen[key, offset].add(value)
    for key, records in final.items():
        for offset, value in records:
            seen[key, offset].add(value)
    for (key, offset), values in seen.items():
        if len(values) > 1:
            yield Violation("L2", f"{key}@{offset} has the values {sorted(values)}")


def duplicates(final):
    """L3: an idempotent producer's value is there once."""
    for key, records in final.items():
        places = collections.defaultdict(list)
        for offset, value in records:
            places[value].append(offset)
        for value, offsets in places.items():
            if len(offsets) > 1:
                yield Violation("L3", f"{value} is {len(offsets)} times in {key}: {offsets}")


def dense(final):
    """L4: no gap in the offsets."""
    for key, records in final.items():
        for (earlier, _), (later, _) in zip(records, records[1:]):
            if later != earlier + 1:
                yield Violation("L4", f"{key}: {later} follows {earlier}")


def real_time_order(sends):
    """L5: what was acknowledged before another send began has the lower offset."""
    by_key = collections.defaultdict(list)
    for value, send in sends.items():
        if send["type"] == OK and send["offset"] is not None and send["offset"] >= 0:
            by_key[send["key"]].append((send["invoked"], send["completed"], send["offset"], value))
    for key, done in by_key.items():
        acknowledged = sorted((completed, offset, value) for _, completed, offset, value in done)
        highest, at = (-1, None), 0
        for invoked, _, offset, value in sorted(done):
            while at < len(acknowledged) and acknowledged[at][0] < invoked:
                highest = max(highest, acknowledged[at][1:])
                at += 1
            if offset < highest[0]:
                yield Violation("L5", f"{value} at {key}@{offset} began after {highest[1]} was acknowledged at {highest[0]}")


def polls(events):
    """L8: a consumer sees increasing offsets without a gap, unless it sought."""
    positions = {}
    for event in events:
        if event["f"] != POLL or event["type"] != OK:
            continue
        for key, records in event["value"].items():
            for offset, _ in records:
                before = positions.get((event["process"], key))
                if before is not None and offset != before + 1:
                    kind = "skips" if offset > before else "goes back"
                    yield Violation("L8", f"consumer {event['process']} {kind} in {key}: {offset} after {before}")
                positions[event["process"], key] = offset


def seen_disappears(events, final):
    """L7: what was read once stays."""
    for key, offset, value in polled(events):
        records = final.get(key, ())
        # Only what lies in the range of the final read can be judged; that it reaches the end is L1's matter too.
        last = records[-1][0] if records else -1
        if offset > last:
            yield Violation("L7", f"{value} was read at {key}@{offset}, the log ends at {last}")


def failed_appears(sends, final):
    """L9: what failed for certain is not there."""
    written = {value for records in final.values() for _, value in records}
    for value, send in sends.items():
        if send["type"] == FAIL and value in written:
            yield Violation("L9", f"{value} was refused and is in {send['key']}")


def plausible_offsets(events):
    """L10: an error carries no offset."""
    for event in events:
        if event["f"] == SEND and event["type"] in (FAIL, INFO) and (event.get("offset") or -1) >= 0:
            yield Violation("L10", f"{event['value']} failed with {event.get('error')} at offset {event['offset']}")


def resends(events, sends):
    """I1: a batch that is sent again after it was acknowledged has the offset that it had; a producer that waits for each acknowledgement is
    never out of order."""
    for event in events:
        if event["f"] == RESEND and event["type"] == OK and event["offset"] != sends[event["value"]]["offset"]:
            yield Violation("I1", f"{event['value']} is at {sends[event['value']]['offset']}, and at {event['offset']} when it is sent again")
        told = event.get("error")
        if event["f"] in (SEND, RESEND) and OUT_OF_ORDER_SEQUENCE in (told if isinstance(told, list) else [told]):
            yield Violation("I1", f"{event['value']} is out of order for {event['key']}, and nothing before it was open")


def polled(events):
    for event in events:
        if event["f"] == POLL and event["type"] == OK:
            for key, records in event["value"].items():
                for offset, value in records:
                    yield key, offset, value


def check_replicas(logs):
    """R1 and L4 on the disks: `logs` is {key: {broker: [Batch]}} as `segments.py` reads them."""
    for key, replicas in logs.items():
        for broker, batches in replicas.items():
            for earlier, later in zip(batches, batches[1:]):
                if later.base != earlier.last + 1:
                    yield Violation("L4", f"{key} on {broker}: a batch at {later.base} follows one that ends at {earlier.last}")
                if later.epoch < earlier.epoch:
                    yield Violation("L4", f"{key} on {broker}: epoch {later.epoch} at {later.base} after {earlier.epoch}")
            for batch in batches:
                if not batch.valid:
                    yield Violation("R7", f"{key} on {broker}: bad checksum at {batch.base}")
        by_base = collections.defaultdict(dict)
        for broker, batches in replicas.items():
            for batch in batches:
                by_base[batch.base][broker] = batch.digest
        start = max((batches[0].base for batches in replicas.values() if batches), default=0)
        for base, digests in sorted(by_base.items()):
            if base < start:
                continue
            missing = sorted(set(replicas) - set(digests))
            if missing:
                yield Violation("R1", f"{key}@{base} is on {sorted(digests)} and not on {missing}")
                break
            if len(set(digests.values())) > 1:
                yield Violation("R1", f"{key}@{base} differs: {digests}")
                break


def check_leaders(seen):
    """R3: one leader an epoch. `seen` is a list of (key, epoch, leader) as brokers told clients."""
    leaders = collections.defaultdict(set)
    for key, epoch, leader in seen:
        if leader >= 0:
            leaders[key, epoch].add(leader)
    for (key, epoch), brokers in leaders.items():
        if len(brokers) > 1:
            yield Violation("R3", f"{key} in epoch {epoch} is led by {sorted(brokers)}")
