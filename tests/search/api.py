"""The HTTP interface of a broker, as a client that knows nothing of its inside uses it."""

import http.client
import json
from urllib.parse import quote, urlencode

from harness import metrics

SECONDS = 60


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Api:
    """Gives bodies of answers; one that is no success is raised as `Refused`."""

    def __init__(self, port, host="127.0.0.1", timeout=120):
        self.host, self.port, self.timeout = host, port, timeout

    def raw(self, method, path, body=None, headers=None):
        """Status, headers and body as they come."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def call(self, method, path, body=None, **parameters):
        if parameters:
            path += "?" + urlencode(parameters)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        status, _, text = self.raw(method, path, body, {"content-type": "application/json"})
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        if status != 200:
            raise Refused(status, answer)
        return answer

    def search(self, topics, body=None, **parameters):
        return self.call("POST", f"/{quote(topics, safe='*,')}/_search", body or {}, **parameters)

    def count(self, topics, q=None, **parameters):
        """How many records fit a query."""
        if q is not None:
            parameters["q"] = q
        answer = self.call("GET", f"/{quote(topics, safe='*,')}/_count", **parameters)
        assert answer["_shards"]["failed"] == 0, answer
        return answer["count"]

    def native(self, topics, q="", **parameters):
        return self.call("GET", "/v1/search", topics=topics, q=q, **parameters)

    def everything(self, topics, q="", page=1000, **parameters):
        """All records that fit, oldest first, page by page."""
        hits, after = [], {}
        while True:
            answer = self.native(topics, q, limit=page, order="oldest", **parameters, **after)
            hits += answer["hits"]
            if not answer.get("next"):
                return hits
            after = {"after": answer["next"]}
            parameters.pop("refresh", None)

    def metrics(self):
        """{name: sum over its series}."""
        return metrics.read(self.host, self.port, self.timeout)

    def status(self, topic):
        """What this broker says of its index of a topic."""
        topics = self.call("GET", "/v1/search/status", topics=topic)["topics"]
        return topics[0]["partitions"] if topics else []
