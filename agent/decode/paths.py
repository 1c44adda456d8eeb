# SPDX-License-Identifier: Apache-2.0
"""Paths as the kernel side writes them: leaf first, each component ended by NUL."""

from __future__ import annotations


def path_from_leaf_first(raw: bytes) -> bytes:
    """`b"bash\\0bin\\0usr\\0"` to `b"/usr/bin/bash"`; empty stays the root."""
    parts = raw.split(b"\0")
    parts.reverse()
    return b"/".join(parts) if len(parts) > 1 else b"/"
