# SPDX-License-Identifier: Apache-2.0
"""What the s3 exporter has brought over already, as far as it is still on the node."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.log.segments import SegmentName
from exporters.bucket import Upload


class State:
    """Kept in a file of the exporter's state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content: dict[str, Any] = {}
        with contextlib.suppress(
            OSError, ValueError
        ):  # lost or damaged: files go once more, under the same keys
            content = json.loads(path.read_text())
        self.done: set[str] = set(content.get("done", ()))
        """Names of segments whose Parquet file is there."""
        self.live: dict[str, tuple[int, int]] = {k: (v[0], v[1]) for k, v in content.get("live", {}).items()}
        """By segment: offset up to which its lines are there, and the number of the last one."""
        self.manifest: list[int] = content.get("manifest", [])
        """Size and time (ns) of the manifest that is there."""
        begun = content.get("upload")
        self.upload = Upload(**begun) if begun else None

    def keep_upload(self, upload: Upload | None) -> None:
        """Note a multipart upload."""
        self.upload = upload
        self.save()

    def forget(self, present: set[str]) -> None:
        """Drop what is told of segments that are gone."""
        self.done &= present
        self.live = {name: place for name, place in self.live.items() if name in present}

    def save(self) -> None:
        """Replace the file. Raises OSError."""
        content = {
            "done": sorted(self.done),
            "live": self.live,
            "manifest": self.manifest,
            "upload": asdict(self.upload) if self.upload else None,
        }
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(content))
        new.replace(self._path)


def rows_of(manifest: Path, name: SegmentName) -> int:
    """Lines of a compacted segment as the manifest tells; 0 when it does not."""
    needle = f'"segment":"{name}"'.encode()
    with contextlib.suppress(OSError, ValueError), manifest.open("rb") as file:
        for line in file:
            if needle in line and b'"compacted":' in line:
                return int(json.loads(line)["compacted"].get("rows", 0))
    return 0
