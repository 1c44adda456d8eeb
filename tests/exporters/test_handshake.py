# SPDX-License-Identifier: Apache-2.0
"""What OpenSSL says, made into a cause and a way out."""

from __future__ import annotations

import ssl

import pytest

from exporters.base import OptionError
from exporters.handshake import ask, explain, is_tls
from exporters.tls import Tls
from tests.exporters.conftest import Certificates
from tests.exporters.faulty_tls import FAULTS, faulty, ours
from tests.exporters.relay import Relay, free_port


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version (_ssl.c:1006)", "TLS 1.2"),
        ("error:0A00010B:SSL routines::wrong version number", "speaks no TLS"),
        ("certificate verify failed: certificate is not yet valid", "not valid yet"),
        ("SSL routines::tlsv13 alert certificate required: SSL alert number 116", "tls.cert_file"),
        ("[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired", "tls.cert_file"),
        ("SSL routines::dh key too small", "dh key"),
    ],
)
def test_what_needs_an_operator_says_what_to_do(said: str, words: str) -> None:
    assert words in explain(said).reason
    assert explain(said).needs_operator


@pytest.mark.parametrize(
    "said",
    ["EOF occurred in violation of protocol (_ssl.c:2427)", "SSL routines::unexpected eof while reading"],
)
def test_a_connection_that_breaks_in_tls_is_tried_again(said: str) -> None:
    assert not explain(said).needs_operator


def test_other_troubles_are_not_taken_for_tls() -> None:
    assert not is_tls("Connection refused (127.0.0.1:9440)")
    assert is_tls(str(ssl.SSLCertVerificationError(1, "[SSL: X] certificate verify failed")))


@pytest.mark.parametrize("fault", ["", *(f for f in FAULTS if "certificate" not in f)])
def test_a_server_is_asked_what_is_wrong_with_it(fault: str, certificates: Certificates) -> None:
    with faulty(fault, free_port(), certificates) as relay:
        said = ask("127.0.0.1", relay.port, Tls(**ours(fault, certificates)), 5)
    assert FAULTS.get(fault, "") in (explain(said).reason if said else "")
    assert bool(said) == bool(fault)


def test_who_cannot_be_asked_is_told(certificates: Certificates) -> None:
    relay = Relay(free_port())
    relay.stop()
    assert "refused" in ask("127.0.0.1", relay.port, Tls(), 5)
    with pytest.raises(OptionError, match="ca_file"):
        ask("127.0.0.1", relay.port, Tls(ca_file="/none"), 5)
