# SPDX-License-Identifier: Apache-2.0
"""Keeps pandas out of a process: pyarrow imports it with the first array where it is installed (0.3 s of CPU,
40 MB), and nothing here uses it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Absent(MetaPathFinder):
    """Says of one package that it is not there."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


def without_pandas() -> None:
    """For processes of our own only: the whole of it does without from now on."""
    sys.meta_path.insert(0, _Absent())
