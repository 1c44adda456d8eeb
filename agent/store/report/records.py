# SPDX-License-Identifier: Apache-2.0
"""The whole records inside of a page: packed in blocks, so that a page opens one when somebody looks.

gzip (RFC 1952) in base64; a browser undoes it with DecompressionStream (Compression Standard, WHATWG).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BLOCK = 256
"""Records per block: about 20 kB packed."""


def packed(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The records in order, `BLOCK` of them in each text."""
    for start in range(0, len(records), BLOCK):
        text = json.dumps(records[start : start + BLOCK], separators=(",", ":"), ensure_ascii=True)
        yield base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def unpacked(block: str) -> list[dict[str, Any]]:
    """The records of one block, as the page reads them."""
    records: list[dict[str, Any]] = json.loads(gzip.decompress(base64.b64decode(block)))
    return records
