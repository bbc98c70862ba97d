"""A client of the fake that does nothing by itself: no retries, no proxies, nothing from the environment."""

from __future__ import annotations

import pytest
import requests

INPUTS = [{"role": "user", "content": "Write a long report"}]


class Client(requests.Session):
    def __init__(self, freddy):
        super().__init__()
        self.freddy = freddy
        # A CA bundle of the environment would win over the one of the session.
        self.trust_env = False
        self.verify = freddy.ca_file or True
        self.headers["Authorization"] = f"Bearer {freddy.api_key}"

    def post_create(self, **body):
        usual = {"organization_id": self.freddy.organization_id, "inputs": INPUTS, "background": True}
        return self.post(f"{self.freddy.url}/v1/model/response", json={**usual, **body}, timeout=5)

    def create(self, **body):
        reply = self.post_create(**body)
        assert reply.status_code == 200, reply.text
        return reply.json()["id"]

    def retrieve(self, response_id, **query):
        return self._item("GET", response_id, query)

    def cancel(self, response_id, **query):
        return self._item("DELETE", response_id, query)

    def _item(self, method, response_id, query):
        query = query or {"organizationId": self.freddy.organization_id}
        url = f"{self.freddy.url}/v1/model/response/{response_id}"
        return self.request(method, url, params=query, timeout=5)


@pytest.fixture
def new_client():
    """Make clients of a fake, which are closed at the end."""
    clients = []

    def new(freddy):
        clients.append(Client(freddy))
        return clients[-1]

    yield new
    for client in clients:
        client.close()


@pytest.fixture
def client(fake_freddy, new_client):
    return new_client(fake_freddy)
