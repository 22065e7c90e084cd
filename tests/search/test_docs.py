"""Every example of docs/search.md is run as it stands there."""

import json
import os
import re
import subprocess

import pytest

from harness import paths
from records import produce

PAGE = paths.REPOSITORY / "docs" / "search.md"


def blocks():
    """The shell blocks of the page, in their order; those marked `sh norun` are for other machines."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def answers(text):
    """The JSON objects with which a text begins."""
    decoder = json.JSONDecoder()
    while (text := text.lstrip()).startswith("{"):
        answer, end = decoder.raw_decode(text)
        yield answer
        text = text[end:]


def test_every_example_runs_in_its_order(start_broker, tmp_path):
    broker = start_broker()
    wrapper = tmp_path / "eddy"
    wrapper.write_text(f'#!/bin/sh\nexec {paths.EDDY} "$@" -b {broker.bootstrap}\n')
    wrapper.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDDY_")}
    environment |= {"PATH": f"{tmp_path}:{environment['PATH']}", "EDDY_HTTP": f"127.0.0.1:{broker.admin_port}", "XDG_CONFIG_HOME": str(tmp_path)}
    assert len(blocks()) > 5
    for block in blocks():
        script = "set -e\n" + block.replace("127.0.0.1:9644", f"127.0.0.1:{broker.admin_port}")
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"nothing came of\n{block}\n{done.stderr}"
        # One that failed says so in its body with status 200 for curl's exit code.
        if block.startswith("curl") and done.stdout.lstrip().startswith("{"):
            for answer in answers(done.stdout):
                assert "error" not in answer and "detail" not in answer, f"{block}\n{answer}"
                hits = answer.get("hits")
                assert hits is None or (hits["total"]["value"] if isinstance(hits, dict) else hits), f"nothing is found by\n{block}"


GRAFANA_QUERIES = [
    # Explore's logs: the newest first, with highlights, and the histogram above them.
    {
        "size": 500,
        "query": {"bool": {"filter": [{"range": {"@timestamp": {"gte": 0, "lte": 4102444800000, "format": "epoch_millis"}}}, {"query_string": {"analyze_wildcard": True, "query": "*"}}]}},
        "sort": [{"@timestamp": {"order": "desc", "unmapped_type": "boolean"}}, {"_doc": {"order": "desc"}}],
        "highlight": {"fields": {"*": {}}, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2147483647},
    },
    # A panel: a count over time by level.
    {
        "size": 0,
        "query": {"bool": {"filter": [{"range": {"@timestamp": {"gte": 0, "lte": 4102444800000, "format": "epoch_millis"}}}, {"query_string": {"analyze_wildcard": True, "query": "level:error"}}]}},
        "aggs": {
            "3": {
                "terms": {"field": "level.keyword", "size": 10, "order": {"_key": "desc"}, "min_doc_count": 1},
                "aggs": {"2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "3600000ms", "min_doc_count": 1}}},
            }
        },
    },
    # A panel: statistics of a number.
    {
        "size": 0,
        "query": {"bool": {"filter": [{"range": {"@timestamp": {"gte": 0, "lte": 4102444800000, "format": "epoch_millis"}}}]}},
        "aggs": {"2": {"date_histogram": {"field": "@timestamp", "fixed_interval": "86400000ms", "min_doc_count": 0}, "aggs": {"1": {"avg": {"field": "took"}}}}},
    },
]


@pytest.mark.parametrize("index", range(len(GRAFANA_QUERIES)))
def test_what_grafana_asks_is_answered(broker, topic, index):
    name = topic()
    produce(broker.bootstrap, name, [{"level": "error" if n % 2 else "info", "took": n} for n in range(100)])
    assert broker.api.count(name, refresh="wait_for") == 100
    status, headers, text = broker.api.raw("GET", "/", headers={"accept": "application/json"})
    assert status == 200 and json.loads(text)["version"]["number"].startswith("8.")
    assert broker.api.call("GET", "/_cluster/health", wait_for_status="yellow")["status"] == "green"
    properties = broker.api.call("GET", f"/{name}/_mapping")[name]["mappings"]["properties"]
    assert properties["@timestamp"]["type"] == "date", properties
    header = json.dumps({"ignore_unavailable": True, "index": name})
    lines = f"{header}\n{json.dumps(GRAFANA_QUERIES[index])}\n"
    answer = broker.api.call("POST", "/_msearch", lines, max_concurrent_shard_requests="5")
    assert len(answer["responses"]) == 1 and "error" not in answer["responses"][0], answer
    found = answer["responses"][0]
    if index == 0:
        assert len(found["hits"]["hits"]) == 100
        assert found["hits"]["hits"][0]["_source"]
    elif index == 1:
        buckets = found["aggregations"]["3"]["buckets"]
        assert [bucket["key"] for bucket in buckets] == ["error"]
        assert sum(bucket["doc_count"] for bucket in buckets[0]["2"]["buckets"]) == 50
    else:
        averages = [bucket["1"]["value"] for bucket in found["aggregations"]["2"]["buckets"] if bucket["doc_count"]]
        assert averages == [49.5]
