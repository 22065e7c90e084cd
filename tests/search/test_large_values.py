"""Values as large as requests may be."""

from records import consume, produce

VALUE_BYTES = 100 << 20
REQUEST_BYTES = VALUE_BYTES + (1 << 20)
# Beyond what it takes to store them: what is read for the index, a copy of it, and as much again that the allocator keeps.
MEMORY_BYTES = 3 * VALUE_BYTES


def peak(broker, reset=False):
    """The most that a broker's process had resident, since it was reset."""
    if reset:
        with open(f"/proc/{broker.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    with open(f"/proc/{broker.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def large(begin, end):
    """A text between two others, as long as a value may be."""
    return begin + "word " * ((VALUE_BYTES - len(begin) - len(end)) // 5) + end


def test_values_of_100_mib_are_indexed_as_far_as_the_limits_go(start_broker):
    broker = start_broker(**{"socket.request.max.bytes": str(REQUEST_BYTES)})
    settings = {"max.message.bytes": str(REQUEST_BYTES)}
    broker.create_topic("stored", 1, **settings)
    broker.create_topic("large", 1, **{"search.enable": "true", **settings})
    broker.create_topic("beside", 1, **{"search.enable": "true"})
    client = {"message.max.bytes": REQUEST_BYTES, "queue.buffering.max.kbytes": 1 << 20}
    values = [large("textbegin ", "textend"), large('{"blob": "jsonbegin ', 'jsonend"}'), {"last": "needle"}]

    # Twice: caches and the allocator have what they keep then.
    produce(broker.bootstrap, "stored", values, **client)
    peak(broker, reset=True)
    produce(broker.bootstrap, "stored", values, **client)
    stored = peak(broker, reset=True)
    produce(broker.bootstrap, "large", values, **client)
    produce(broker.bootstrap, "beside", [{"n": 1}])
    assert broker.api.count("beside", refresh="wait_for", timeout="10s") == 1
    assert broker.api.count("large", refresh="wait_for", timeout="60s") == len(values)
    indexed = peak(broker)
    assert indexed < stored + MEMORY_BYTES, (indexed, stored)

    found = {word: broker.api.count("large", word) for word in ("textbegin", "jsonbegin", "needle", "textend", "jsonend")}
    assert found == {"textbegin": 1, "jsonbegin": 1, "needle": 1, "textend": 0, "jsonend": 0}
    shown = [hit["value"] for hit in broker.api.everything("large")]
    assert shown == [{"omitted_bytes": len(values[0])}, {"omitted_bytes": len(values[1])}, {"last": "needle"}]
    assert broker.api.metrics()["eddy_index_raw_records_total"] == 2
    readable = {"fetch.message.max.bytes": REQUEST_BYTES, "fetch.max.bytes": 2 * REQUEST_BYTES, "receive.message.max.bytes": 3 * REQUEST_BYTES}
    assert [len(value) for _, _, value in consume(broker.bootstrap, "large", **readable)][:2] == [len(value) for value in values[:2]]
