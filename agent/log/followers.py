# SPDX-License-Identifier: Apache-2.0
"""How far exporters have read: `STATE_DIR/NAME/cursor`, whose first line is a cursor (docs/exporters.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.log.entry import Cursor
from agent.log.retention import Follower

CURSOR_NAME = "cursor"


def read_followers(state_dir: Path, exporters: Mapping[str, bool]) -> list[Follower]:
    """The places of the configured exporters; `exporters` says of each whether it is required."""
    return [Follower(name, required, _place(state_dir / name)) for name, required in exporters.items()]


def _place(directory: Path) -> Cursor | None:
    """None when there is no cursor yet or it is damaged: what was not surely read counts as unread."""
    try:
        with (directory / CURSOR_NAME).open(encoding="ascii", errors="replace") as file:
            return Cursor.parse(file.readline(256))
    except (OSError, ValueError):
        return None


class Configured:
    """Which exporters are configured, and whether each is required. Files are read again when they change."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, bool]] = {}

    def __call__(self, files: Sequence[str], dirs: Sequence[str]) -> dict[str, bool]:
        """By name, which is that of the file without its ending. Raises nothing: who runs exporters reports
        bad files. What cannot be read counts as required, because what is removed cannot be sent any more."""
        found = [Path(name) for name in files]
        for directory in map(Path, dirs):
            found += [path for ending in ("*.yaml", "*.yml") for path in directory.glob(ending)]
        return {path.stem: self._is_required(path) for path in found}

    def _is_required(self, path: Path) -> bool:
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            return True
        known = self._known.get(path)
        if known is None or known[0] != changed_ns:
            self._known[path] = known = changed_ns, _read_required(path)
        return known[1]


def _read_required(path: Path) -> bool:
    import yaml  # only where exporters are configured

    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return True
    return isinstance(document, dict) and document.get("required") is True
