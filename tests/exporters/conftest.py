# SPDX-License-Identifier: Apache-2.0
"""Certificates and contexts that tests of several exporters share."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
import trustme

from exporters.base import Context
from exporters.config import load
from exporters.patience import Patience
from exporters.runner import Runner
from tests.exporters.eventlog import EventLog
from tests.exporters.receiver import Receiver


class Certificates(NamedTuple):
    """A CA made for this run, and what it signed."""

    ca: trustme.CA
    ca_file: str
    server_file: str
    """Certificate and key of 127.0.0.1 and localhost."""
    client_file: str
    other_ca_file: str
    """A CA that signed nothing but the next."""
    stranger_file: str

    def server(self, wants_client: bool = False, fault: str = "") -> ssl.SSLContext:
        """A server's context; `fault`: its certificate is `expired`, or for `another name`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if fault == "expired":
            past = datetime.now(UTC) - timedelta(days=2)
            self.ca.issue_cert(
                "127.0.0.1", not_before=past - timedelta(days=2), not_after=past
            ).configure_cert(context)
        elif fault == "another name":
            self.ca.issue_cert("elsewhere.example").configure_cert(context)
        else:
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
    other = trustme.CA()
    other.issue_cert("x@example.org").private_key_and_cert_chain_pem.write_to_path(folder / "stranger.pem")
    for name, authority in (("ca", ca), ("other", other)):
        authority.cert_pem.write_to_path(folder / f"{name}.pem")
    files = ("ca", "server", "client", "other", "stranger")
    return Certificates(ca, *(str(folder / f"{name}.pem") for name in files))


@pytest.fixture
def context(tmp_path: Path) -> Callable[..., Context]:
    """Makes the Context of an exporter from its own keys."""

    def make(**options: object) -> Context:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        return Context("test", "1.2.3", str(state), dict(options), host_id="ab12")

    return make


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file with a secret."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


@pytest.fixture
def event_log(tmp_path: Path) -> EventLog:
    """A log with one segment, which tests fill."""
    return EventLog(tmp_path / "log")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server on loopback."""
    made = Receiver()
    yield made
    made.close()


RunOnce = Callable[..., Runner]


@pytest.fixture
def run_once(tmp_path: Path, event_log: EventLog) -> RunOnce:
    """Runs the exporter `x` with the given keys until the end of the log is answered for."""

    def run(**keys: object) -> Runner:
        path = tmp_path / "x.yaml"
        path.write_bytes(orjson.dumps({"start": "beginning", "retry": {"first_seconds": 0.01}, **keys}))
        runner = Runner(load(path), event_log.directory, tmp_path / "states", Patience())
        runner.prepare()
        runner.run(until_idle=True)
        return runner

    return run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    mountpoint = tmp_path / "disk"
    mountpoint.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mountpoint], check=True)
    yield mountpoint
    subprocess.run(["umount", "--lazy", mountpoint], check=True)
