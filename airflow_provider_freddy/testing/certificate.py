"""A certificate authority for one run, which vouches for the fake and nobody else."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """
    Files for TLS.

    :param ca_file: What a client has to trust.
    :param server_file: The server's key and certificate.
    """

    ca_file: str
    server_file: str


@contextlib.contextmanager
def issued(host: str) -> Generator[Certificate, None, None]:
    """
    Issue a certificate for an address of this machine.

    :param host: The address, beside ``127.0.0.1`` and ``localhost``.
    :return: A context manager with the files, which are gone at its end.
    """
    authority = trustme.CA()
    names = dict.fromkeys(["127.0.0.1", "localhost", host])
    with tempfile.TemporaryDirectory(prefix="fake-freddy-") as folder:
        certificate = Certificate(str(Path(folder, "ca.pem")), str(Path(folder, "server.pem")))
        authority.cert_pem.write_to_path(certificate.ca_file)
        authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(certificate.server_file)
        yield certificate
