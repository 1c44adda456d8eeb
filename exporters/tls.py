# SPDX-License-Identifier: Apache-2.0
"""TLS as every destination knows it: who is believed, who we are, by which name the server is called."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from exporters.base import OptionError


@dataclass(frozen=True, slots=True)
class Tls:
    """The key `tls` of an exporter."""

    ca_file: str = ""
    """Certificates (PEM) that are believed. Empty: those of the system."""
    cert_file: str = ""
    """Our own certificate chain (PEM), where the server asks for one."""
    key_file: str = ""
    """Its key (PEM, without a passphrase). Empty: it stands in cert_file."""
    server_name: str = ""
    """Name that the server's certificate must have. Empty: the host of the URL."""
    insecure: bool = False
    """Whether any certificate is believed: anybody on the way can read and change the stream."""

    def __post_init__(self) -> None:
        if self.key_file and not self.cert_file:
            raise OptionError("key_file", "stands without cert_file", "name the certificate, too")


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context for the client's side, TLS 1.2 and newer. Raises OptionError when a file is no good."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(
            "tls.ca_file", f"{tls.ca_file}: {error}", "give a PEM file of certificates"
        ) from None
    if tls.cert_file:
        _load_own(context, tls)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_own(context: ssl.SSLContext, tls: Tls) -> None:
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file or None, password=_refuse_to_ask)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise OptionError(
            "tls.cert_file", f"{tls.cert_file}: {error}", "give a PEM file and its key without a passphrase"
        ) from None


def _refuse_to_ask() -> str:
    """Instead of the prompt of OpenSSL, at which a daemon would hang."""
    raise ValueError("the key has a passphrase")


def read_pem(key: str, path: str) -> bytes | None:
    """Content of a file for libraries that want bytes; None for no file. Raises OptionError."""
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise OptionError(key, f"cannot be read: {error}", "give a PEM file") from None
