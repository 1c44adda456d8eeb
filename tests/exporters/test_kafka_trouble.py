# SPDX-License-Identifier: Apache-2.0
"""Which word of librdkafka's counts when it has said several."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from exporters.kafka_trouble import Trouble


class Said(NamedTuple):
    """An error as the client's callback gets it."""

    code: str
    text: str

    def name(self) -> str:
        return self.code

    def str(self) -> str:
        return self.text


REFUSED = "FAIL [x] [thrd:b:1/bootstrap]: b:1/bootstrap: Connection refused (after 0ms in state CONNECT)"
HANGS = "FAIL [x] [thrd:b:1/bootstrap]: b:1/bootstrap: timed out (after 9ms in state SSL_HANDSHAKE)"


@pytest.mark.parametrize(
    ("words", "wanted", "lasting"),
    [
        ([REFUSED, HANGS], "nobody shakes hands", False),
        ([HANGS, REFUSED], "Connection refused", False),
        ([HANGS, Said("_ALL_BROKERS_DOWN", "1/1 brokers are down")], "nobody shakes hands", False),
        ([Said("_AUTHENTICATION", "no such user"), HANGS], "sasl.username", True),
        ([Said("_TRANSPORT", "SSL routines::tlsv13 alert certificate required")], "tls.cert_file", True),
        ([Said("_TRANSPORT", "SSL routines::unexpected eof while reading")], "eof", False),
        (["CONFWARN [x]: something else"], "_MSG_TIMED_OUT", False),
    ],
)
def test_the_word_that_says_most_counts(words: list[object], wanted: str, lasting: bool) -> None:
    trouble = Trouble(None)
    for word in words:
        trouble.on_error(word) if isinstance(word, Said) else trouble.on_log(str(word))
    problem = trouble.explain("_MSG_TIMED_OUT")
    assert wanted in problem.reason
    assert problem.needs_operator is lasting
