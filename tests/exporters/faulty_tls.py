# SPDX-License-Identifier: Apache-2.0
"""Ways in which TLS goes wrong before a real receiver, the same for all exporters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.exporters.conftest import Certificates
from tests.exporters.relay import Relay

FAULTS = {
    "unknown authority": "nobody vouches",
    "expired": "has expired",
    "another name": "for another name",
    "no certificate of ours": "wants a certificate",
    "a stranger's certificate": "wants a certificate",
}
"""What is wrong, and what an operator is told of it."""


@contextmanager
def faulty(fault: str, receiver: int, certificates: Certificates, port: int = 0) -> Iterator[Relay]:
    """A TLS terminator before a receiver's port; what it `passed` came through in spite of the fault."""
    relay = Relay(receiver, port, certificates.server(wants_client="certificate" in fault, fault=fault))
    try:
        yield relay
    finally:
        relay.stop()


def ours(fault: str, certificates: Certificates) -> dict[str, str]:
    """Our key `tls` for that fault; with no fault, the right one."""
    if fault == "unknown authority":
        return {"ca_file": certificates.other_ca_file}
    found = {"ca_file": certificates.ca_file}
    if fault == "a stranger's certificate":
        found["cert_file"] = certificates.stranger_file
    if not fault:
        found["cert_file"] = certificates.client_file
    return found
