# SPDX-License-Identifier: Apache-2.0
"""One value of a hook as one argument of an event: converted, redacted, and noted what it does not tell."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from orjson import dumps

from agent.decode import content as c
from agent.decode.content import CONTENTS, BufferContent, Content, PathContent
from agent.enrich.text import to_text
from agent.events import SentValue
from agent.policy.arguments import Row, row_of

Redact = Callable[[str], str]
"""A text without its secrets; the same object when there are none."""
Notes = dict[str, Any]
"""What stands below `tracehound` about arguments: truncated, raw, inode, unreachable."""

CUT, FAULT, NULL = 1, 2, 3
"""enum sent_status."""
_BAD_ADDRESS = "Bad address for basic type"
_BAD_STEP = "Bad address encountered during resolve dereference"
"""As Tetragon says it, which also tells the step."""
_JUDGED = {c.STRING, c.DATA_LOC, c.NET_DEVICE, c.BUFFER, c.IOVEC, c.IOV_ITER, *range(c.FILE, c.SOCK)}
"""Types that are text, or hold one."""
_MEMO_MOST = 512
_MEMO_BYTES = 512
"""Longer values are not remembered."""


class ShownValue:
    """How one value of one policy's hook is written. `known` is shared by all of one type."""

    __slots__ = ("begin", "end", "fault", "index", "known", "name", "redact", "row")

    def __init__(
        self,
        index: int,
        row: Row,
        name: str,
        *,
        label: str = "",
        has_steps: bool = False,
        known: dict[bytes, str] | None = None,
        redact: Redact | None = None,
    ) -> None:
        self.index = index
        """In the hook's shape."""
        self.row = row
        self.name = name
        """`args.0`, `return`, `data.1`: in notes."""
        self.begin = f'{{"{row.member}":'
        self.end = f',"label":{dumps(label).decode()}}}' if label else "}"
        self.fault = _BAD_STEP if has_steps else _BAD_ADDRESS
        self.known = {} if known is None else known
        """JSON by bytes, of what is whole and unremarkable."""
        self.redact = redact

    def json(self, value: SentValue | None, notes: Notes) -> str:
        """The argument, in braces."""
        if value is not None:
            if not value.status:
                known = self.known.get(value.data)
                if known is not None:
                    return f"{self.begin}{known}{self.end}"
            if value.status != FAULT:
                return self._convert(value, notes)
        return self._error(self.fault if value is not None else "not sent: the event had no room left")

    def _convert(self, value: SentValue, notes: Notes) -> str:
        row, data = self.row, value.data
        if value.type not in row.takes:  # who made the plan and who made the record disagree
            row = row_of("", value.type)
        if value.status == NULL:
            return f'{{"{row.member}":{row.null}{self.end}'
        decode = CONTENTS.get(value.type)
        try:
            content = decode(data) if decode and row.member else None
        except struct.error:
            content = None
        if content is None:
            return self._error("a value of unknown form")
        noted = len(notes)
        if value.type in _JUDGED:
            content = self._judged(content, value.status, notes)
        text = row.convert(content)
        if isinstance(content, BufferContent):
            member = "truncated_bytes_arg" if content.wanted > len(content.data) else row.member
            return f'{{"{member}":{text}{self.end}'
        is_whole = not value.status and len(notes) == noted
        if is_whole and row.is_common and row is self.row and len(data) <= _MEMO_BYTES:
            if len(self.known) >= _MEMO_MOST:
                self.known.clear()
            self.known[data] = text
        return f'{{"{row.member}":{text}{self.end}'

    def _error(self, message: str) -> str:
        return f'{{"error_arg":{{"Message":"{message}"}}{self.end}'

    def _judged(self, content: Content, status: int, notes: Notes) -> Content:
        """The content without secrets; what is special about it goes to the notes."""
        if isinstance(content, PathContent):
            if not content.links or content.is_unreachable:
                self._note_file(content, notes)
            raw = content.path
        elif isinstance(content, bytes):
            raw = content
        elif isinstance(content, BufferContent):
            return self._redacted_buffer(content)
        else:
            return content
        if status == CUT:
            notes.setdefault("truncated", []).append(self.name)
        text, is_bad = to_text(raw)
        if self.redact is not None and raw is content:
            redacted = self.redact(text)
            if redacted is not text:
                return redacted.encode()
        if is_bad:
            notes.setdefault("raw", {})[self.name] = b64encode(raw).decode()
        return content

    def _note_file(self, file: PathContent, notes: Notes) -> None:
        """A file without a name is told by its inode, as in exec events."""
        if file.inode and not file.links:
            device = f"{file.device >> 20}:{file.device & 0xFFFFF}"
            inode = {"number": str(file.inode), "links": 0, "dev": device}
            notes.setdefault("inode", {})[self.name] = inode
        if file.is_unreachable:
            notes.setdefault("unreachable", []).append(self.name)

    def _redacted_buffer(self, buffer: BufferContent) -> BufferContent:
        """Searched as if it were Latin-1, in which every byte is a character and comes back as it was."""
        if self.redact is None:
            return buffer
        text = buffer.data.decode("latin-1")
        redacted = self.redact(text)
        if redacted is text:
            return buffer
        data = redacted.encode("latin-1", "replace")
        is_whole = buffer.wanted <= len(buffer.data)
        return BufferContent(len(data) if is_whole else max(buffer.wanted, len(data) + 1), data)
