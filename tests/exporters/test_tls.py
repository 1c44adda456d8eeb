# SPDX-License-Identifier: Apache-2.0
"""TLS options: good files make a context, bad ones are named."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exporters.base import OptionError
from exporters.tls import Tls, client_context, read_pem
from tests.exporters.conftest import Certificates


def test_certificates_are_checked_unless_told_otherwise(certificates: Certificates) -> None:
    strict, lax = client_context(Tls(ca_file=certificates.ca_file)), client_context(Tls(insecure=True))
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_NONE, False)
    assert strict.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_file_that_is_missing_or_no_certificate_is_named(key: str, tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        with pytest.raises(OptionError, match=rf"tls\.{key}: .*\.pem"):
            client_context(Tls(**{key: str(path)}))
        (tmp_path / "empty.pem").write_text("")


def test_a_key_with_a_passphrase_does_not_ask_at_the_terminal(
    certificates: Certificates, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    (tmp_path / "key.pem").write_bytes(key)
    with pytest.raises(OptionError, match="passphrase"):
        client_context(Tls(cert_file=certificates.client_file, key_file=str(tmp_path / "key.pem")))


def test_bytes_of_a_file_are_read_or_the_file_is_named(certificates: Certificates) -> None:
    assert (read_pem("k", certificates.ca_file) or b"").startswith(b"-----BEGIN")
    assert read_pem("k", "") is None
    with pytest.raises(OptionError, match="k: cannot be read"):
        read_pem("k", "/nonexistent")
