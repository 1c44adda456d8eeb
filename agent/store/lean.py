# SPDX-License-Identifier: Apache-2.0
"""Keeps pandas and numpy out of a process: pyarrow imports them where they are installed (0.4 s of CPU,
50 MB, and threads of numpy's own), and nothing here uses them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of packages that they are not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in ("pandas", "numpy"):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def without_pandas() -> None:
    """For processes of our own only: the whole of it does without from now on."""
    sys.meta_path.insert(0, _Absent())
