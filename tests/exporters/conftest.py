# SPDX-License-Identifier: Apache-2.0
"""Certificates and contexts that tests of several exporters share."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from exporters.base import Context


class Certificates(NamedTuple):
    """A CA made for this run, and what it signed."""

    ca: trustme.CA
    ca_file: str
    server_file: str
    """Certificate and key of 127.0.0.1 and localhost."""
    client_file: str

    def server(self, wants_client: bool = False) -> ssl.SSLContext:
        """A server's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_file)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """PEM files of a CA, a server and a client."""
    folder, ca = tmp_path_factory.mktemp("certificates"), trustme.CA()
    names = {"server": ("127.0.0.1", "localhost"), "client": ("client@example.org",)}
    for name, identities in names.items():
        ca.issue_cert(*identities).private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    return Certificates(ca, *(str(folder / f"{name}.pem") for name in ("ca", "server", "client")))


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """Makes the Context of an exporter from its own keys."""

    def make(**options: object) -> Context:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        return Context("test", "1.2.3", str(state), dict(options))

    return make


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with a secret."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path
