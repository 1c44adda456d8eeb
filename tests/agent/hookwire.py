# SPDX-License-Identifier: Apache-2.0
"""Hook records as the kernel side writes them, and the facts that a book has of their selectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.decode import content as c
from agent.decode.header import HEAD, KIND_HOOK
from agent.decode.hook import HOOK, MATCH, SENT
from agent.policy.book import HookFacts
from agent.policy.model import Action, Hook, Selector
from agent.policy.values import HookKey, HookUse, Shown, Source, Step, Value, ValueType
from tests.agent.wire import NOBODY, SECOND, Image, head

Sent = tuple[int, int, bytes] | tuple[int, int, bytes, int]
"""Index, type, bytes and (where it is not whole) status."""
REGULAR = 0o100644


def match_part(
    selector: int = 0,
    *,
    actions: int = 1,
    suppressed: int = 0,
    error: int = 0,
    signal: int = 0,
    since: int = 1,
) -> bytes:
    return MATCH.pack(selector, actions, suppressed, error, signal & 0xFFFFFFFF, 0, since)


def sent_part(index: int, kind: int, data: bytes, status: int = 0) -> bytes:
    part = SENT.pack(index, kind, status, len(data)) + data
    return part + bytes(-len(part) % 8)


def hook_record(
    image: Image = (60, 600),
    parent: Image = NOBODY,
    values: Sequence[Sent] = (),
    matches: Sequence[bytes] = (),
    *,
    hook: int = 1,
    tid: int | None = None,
    at: int = 5 * SECOND,
    stacks: tuple[int, int] = (-1, -1),
    gap: int = 0,
) -> bytes:
    """A whole record; `gap`: matches that a rate limit held back."""
    found = list(matches) or [match_part()]
    begin = HEAD.unpack(head(KIND_HOOK, image, parent, at=at, tid=tid))
    values_at = MATCH.size * (len(found) + gap)
    fixed = HOOK.pack(*begin, 0, hook, len(found), len(values), values_at, 1, 0, 0, *stacks)
    filler = b"\xee" * (MATCH.size * gap)
    return fixed + b"".join(found) + filler + b"".join(sent_part(*value) for value in values)


def path_data(path: bytes, mode: int = REGULAR, *, inode: int = 7, links: int = 1, flags: int = 0) -> bytes:
    return c.SENT_PATH.pack(inode, 8 << 20 | 1, mode, flags, links, len(path)) + path


def sock_data(
    ends: tuple[bytes, int, bytes, int] = (b"\x7f\0\0\1", 53062, b"\x7f\0\0\1", 35775),
    *,
    family: int = 2,
    state: int = 1,
    address: int = 0xFFFF888012345678,
    owner: tuple[int, int] = (0, 0),
    kind: tuple[int, int] = (1, 6),
    mark: int = 0,
) -> bytes:
    """`ends`: source, its port, target, its port; `kind`: type and protocol."""
    saddr, sport, daddr, dport = ends
    addresses = saddr.ljust(16, b"\0"), daddr.ljust(16, b"\0")
    return c.SENT_SOCK.pack(address, *owner, family, *kind, state, 1, mark, 0, sport, dport, *addresses)


def integer_data(number: int) -> bytes:
    return number.to_bytes(8, "little", signed=number < 0)


def facts(
    kind: str = "kprobe",
    target: str = "security_file_open",
    shown: Sequence[tuple[str, ValueType]] = (("file", ValueType.FILE),),
    *,
    policy: str = "file-open",
    selectors: Sequence[Selector] = (),
    selector: int = 0,
    returned: tuple[str, ValueType] | None = None,
    data: Sequence[tuple[str, ValueType]] = (),
    labels: Sequence[str] = (),
    steps: tuple[Step, ...] = (),
    **more: Any,
) -> HookFacts:
    """Facts of a hook whose values stand in the shape as in the policy. `more`: fields of Hook."""
    types = [*shown, *data, *([returned] if returned else [])]
    values = tuple(
        Value(Source.ARGUMENT, of, index=index, steps=steps) for index, (_, of) in enumerate(types)
    )
    names = [*labels, *[""] * len(types)]
    parts = tuple(
        Shown(
            index,
            crd,
            names[index],
            is_return=bool(returned) and index == len(types) - 1,
            is_data=len(shown) <= index < len(shown) + len(data),
        )
        for index, (crd, _) in enumerate(types)
    )
    hook = Hook(kind, target, selectors=tuple(selectors), **more)
    use = HookUse(HookKey("fentry", target), policy, hook, 0, values, parts, target)
    return HookFacts(policy, use, tuple(range(len(values))), selector)


def acting(*names: str, label: str = "", **more: Any) -> Selector:
    """A selector with these actions; `more`: fields of each Action."""
    return Selector(label=label, actions=tuple(Action(name, **more) for name in names))
