# SPDX-License-Identifier: Apache-2.0
"""Which files of a directory are rules.

Links to directories are followed, as `rules.d/sigma -> /srv/sigma/rules/linux` is an ordinary way to use
rules of others; each directory once, so that loops end.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

SUFFIXES = (".yml", ".yaml")
SAMPLES = "samples"
"""Directories of samples for `rules test`."""


def rule_files(directory: Path, failed: Callable[[OSError], None], most: int) -> list[Path]:
    """Files below a directory, sorted, and at most about so many; hidden names, samples and what is no file
    (pipes, devices: they would be waited for) are passed over. `failed` is told of directories that cannot be
    listed."""
    found: list[Path] = []
    for path in _walk(directory, failed):
        found.append(path)
        if len(found) > most:
            break
    return sorted(found)


def _walk(directory: Path, failed: Callable[[OSError], None]) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    for top, directories, names in os.walk(directory, onerror=failed, followlinks=True):
        try:
            about = Path(top).stat()
        except OSError:  # gone since it was listed
            continue
        if (about.st_dev, about.st_ino) in seen:
            directories.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        directories[:] = sorted(name for name in directories if name[0] != "." and name != SAMPLES)
        paths = (Path(top, name) for name in names if name[0] != "." and name.endswith(SUFFIXES))
        yield from (path for path in paths if _is_file(path))


def _is_file(path: Path) -> bool:
    """Also when it cannot be told: reading says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
