# SPDX-License-Identifier: Apache-2.0
"""Servers that are none, before the client's own reading (src/Core/Protocol.h: hello is packet 0)."""

from __future__ import annotations

import psutil
import pytest

from exporters import clickhouse
from exporters.base import Context, TryAgain
from tests.exporters.canned import answering
from tests.exporters.samples import documents

pytest.importorskip("clickhouse_driver", reason="tracehound[clickhouse] is not installed")

HUGE = b"\x00" + b"\xff" * 6 + b"\x7f"
"""A hello whose server's name has 2^49 - 1 bytes."""


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b"\xff" * 100], "does the port want TLS"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "Unexpected packet"),
        ([HUGE, *[b"x" * (1 << 20)] * 200], "the answer is too long"),
    ],
)
def test_a_server_that_is_none_takes_neither_memory_nor_events(pieces: list[bytes], words: str) -> None:
    before = psutil.Process().memory_info().rss
    with answering(*pieces) as (port, _):
        given = {"hosts": [f"127.0.0.1:{port}"], "timeout_seconds": 5}
        destination = clickhouse.open(Context("test", "1.0", "/none", given))
        with pytest.raises(TryAgain, match=words) as raised:
            destination.send(documents(5))
        destination.close()
    assert not raised.value.needs_operator
    assert psutil.Process().memory_info().rss - before < 80 << 20
