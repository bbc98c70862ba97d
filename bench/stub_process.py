"""The stub as a process of its own, and what it says about the requests it got."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.stub import HOST

ROOT = Path(__file__).resolve().parent.parent
KEY = "ak_bench"
ORGANIZATION = "org_bench"


class Stub:
    """
    Start a stub on entry, end it on exit.

    :param delay: seconds before each of its answers leaves.
    :param certificates: a folder for certificate and CA; with one it speaks https.
    """

    def __init__(self, *, delay: float = 0.0, certificates: Path | None = None) -> None:
        self._delay = delay
        self._folder = certificates
        self._asked = 0
        self.port = 0

    @classmethod
    def at(cls, url: str) -> Stub:
        """
        Return one that somebody else has started, to ask for its counts.

        :param url: its base URL, of http.
        """
        stub = cls()
        stub.port = int(url.rpartition(":")[2])
        return stub

    def __enter__(self) -> Self:
        """Start it and learn its port."""
        command = [sys.executable, "-m", "bench.stub", "--delay", str(self._delay)]
        if self._folder:
            command += ["--certificate", str(make_certificate(self._folder))]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        # Not communicate(): it may have been read from before.
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"{'https' if self._folder else 'http'}://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """
        Return the connections to it, for Airflow.

        Each peer's connection says the same in that peer's words. The certificate is trusted by way of the usual
        variables, beside the machine's own: a context that knows two certificates only would be too cheap.
        """
        scheme = "https" if self._folder else "http"
        host = {"host": HOST, "port": self.port, "schema": scheme, "password": KEY}
        connections = {
            "FREDDY_DEFAULT": {
                "conn_type": "freddy",
                "host": self.url,
                "password": KEY,
                "extra": {"organization_id": ORGANIZATION},
            },
            "HTTP_DEFAULT": {"conn_type": "http", **host, "extra": {"Authorization": f"Bearer {KEY}"}},
            "DATABRICKS_DEFAULT": {"conn_type": "databricks", **host},
        }
        found = {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}
        if self._folder:
            bundle = str(self._folder / "bundle.pem")
            found |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle}
        return found

    def stats(self) -> dict[str, Any]:
        """Return what has come in since the last reset."""
        return self._ask("GET", "/_stats")

    def looked_at(self) -> int:
        """Return how many responses have been looked at; cheap."""
        return int(self._ask("GET", "/_looked_at")["looked_at"])

    def reset(self) -> dict[str, Any]:
        """Let it forget its counts; return them for the last time."""
        counts = self._ask("POST", "/_reset")
        self._asked = 0
        return counts

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        connection: http.client.HTTPConnection
        if self._folder:
            context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
            connection = http.client.HTTPSConnection(HOST, self.port, context=context, timeout=30)
        else:
            connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            connection.request(method, path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        # The connections that ask are no client's.
        self._asked = self._asked + 1
        if "open" in answer:
            answer["open"] -= 1
            answer["accepted"] -= self._asked
        return answer


def make_certificate(folder: Path) -> Path:
    """
    Write a certificate for 127.0.0.1 and the bundle of CAs that trusts it.

    :param folder: where to.
    :return: the file with certificate and key.
    """
    import certifi
    import trustme

    ca = trustme.CA(key_type=trustme.KeyType.RSA)
    file = folder / "server.pem"
    ca.issue_cert(HOST, key_type=trustme.KeyType.RSA).private_key_and_cert_chain_pem.write_to_path(str(file))
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    trusted = Path(certifi.where()).read_bytes() + b"\n" + ca.cert_pem.bytes()
    (folder / "bundle.pem").write_bytes(trusted)
    return file
