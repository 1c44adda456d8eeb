# SPDX-License-Identifier: Apache-2.0
"""Records on standard output: as lines of text, or as they stand in the log."""

from __future__ import annotations

import re
import sys
from typing import Any

from agent.cli.render import RenderContext, learn, render_event
from agent.log.entry import Entry

_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What JSON may hold unescaped and a terminal takes for more than text."""


class Output:
    """Writes entries in one of the formats; text is kept until `flush`."""

    def __init__(self, form: str, context: RenderContext) -> None:
        self.written = 0
        """Records written so far."""
        self._json = form == "json"
        self._context = context
        self._guard = self._json and sys.stdout.isatty()
        self._lines: list[str] = []

    def show(self, entry: Entry) -> None:
        """Write one record."""
        self.written += 1
        if self._json:
            self._lines.append(self._raw(entry))
        else:
            self._lines.append(render_event(entry.record, self._context))
        if len(self._lines) >= 512:
            self.flush()

    def skip(self, record: dict[str, Any]) -> None:
        """Take note of a record that is not shown."""
        if not self._json:
            learn(record, self._context)

    def flush(self) -> None:
        """Hand everything to standard output. Raises BrokenPipeError when nobody reads it."""
        if self._lines:
            self._lines.append("")
            sys.stdout.write("\n".join(self._lines))
            self._lines.clear()
        sys.stdout.flush()

    def _raw(self, entry: Entry) -> str:
        if entry.line:
            line = entry.line.decode("utf-8", "replace")
        else:
            import json

            line = json.dumps(entry.record)
        return _UNSAFE_IN_JSON.sub(_json_escape, line) if self._guard else line


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
