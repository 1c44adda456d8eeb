# SPDX-License-Identifier: Apache-2.0
"""The last resort: a record that no format could read is sent as text, so that nothing vanishes without a
trace."""

from __future__ import annotations

import json
from typing import Any

_MOST = 65536
"""Characters of the record that are sent."""


def malformed_record(record: object, error: Exception) -> tuple[str, int, int]:
    """The record as text that UTF-8 can say, its sequence number (0: unknown), and a time (0: unknown)."""
    try:
        text = json.dumps(record, default=repr)[:_MOST]
    except (TypeError, ValueError, RecursionError):
        text = f"{type(record).__name__} that cannot be shown ({type(error).__name__})"
    own: Any = record.get("tracehound") if isinstance(record, dict) else None
    number = own.get("sequence") if isinstance(own, dict) else 0
    return text, number if type(number) is int and 0 <= number < 1 << 63 else 0, 0
