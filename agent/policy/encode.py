# SPDX-License-Identifier: Apache-2.0
"""Events of policies to log lines in Tetragon's shape: process_kprobe, process_lsm, process_tracepoint.

What is the same in every event of a selector is encoded once, when its first event comes.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from orjson import dumps

from agent.decode.content import SENT_SOCK, SOCK, SOCKET
from agent.events import HookEvent, HookMatch
from agent.kernel.stacks import NO_ROOM
from agent.log.encode import Encoder, ProcessLike
from agent.log.records import Line
from agent.policy.arguments import Row, row_of
from agent.policy.book import Frame, HookBook, HookFacts, Stacks
from agent.policy.model import Action
from agent.policy.shown import Notes, Redact, ShownValue
from agent.policy.told import ENFORCING, TOLD, policy_json, wording
from agent.policy.values import Shown

ACTION_KERNEL_STACK = 1 << 1
ACTION_USER_STACK = 1 << 2
"""Of enum action_flags."""
STACKS = ACTION_KERNEL_STACK | ACTION_USER_STACK
KINDS = {
    "kprobe": "process_kprobe",
    "fentry": "process_kprobe",
    "lsm": "process_lsm",
    "tracepoint": "process_tracepoint",
    "raw_tracepoint": "process_tracepoint",
}
"""Type of the event by Hook.kind; what is not in it is process_kprobe."""
_OWNER = Struct("=3Q")
"""The beginning of struct sent_sock: address, owner, owner_ktime."""
_FORMS_MOST = 16_384
BEHIND_TIME = '","tracehound":{"sequence":'
"""The end of a line's first piece."""


class HookForm:
    """The lasting parts of one selector's events."""

    __slots__ = (
        "action", "after_args", "args", "before_args", "data", "kind", "last", "own", "policy", "returned",
        "shown", "socks", "would",
    )  # fmt: skip

    def __init__(self, facts: HookFacts) -> None:
        hook = facts.use.hook
        self.kind = KINDS.get(hook.kind, "process_kprobe")
        self.before_args, self.action, self.after_args = _around_args(self.kind, facts)
        self.args: list[ShownValue] = []
        self.data: list[ShownValue] = []
        self.returned: ShownValue | None = None
        self.shown: list[ShownValue] = []
        """All of these."""
        self.policy = _policy(facts)
        """Below `tracehound.policy`, without what differs from event to event."""
        self.would = [wording(action) for action in _of(facts, "actions") if action.name in ENFORCING]
        self.own = f',"policy":{dumps(self.policy).decode()}'
        """Of events at which nothing was done."""
        self.last: tuple[ProcessLike, int, object, tuple[str, str, str]] | None = None
        """Whose event came last: process, thread, what was known of them, and what stands around it."""
        self.socks: list[int] = []
        """Where the sockets stand in the hook's shape."""

    def is_known(self, event: HookEvent) -> bool:
        """Whether the JSON of all values is remembered, so that the same bytes are worth remembering."""
        values = event.values
        for one in self.shown:
            value = values.get(one.index)
            if value is None or value.status or value.data not in one.known:
                return False
        return True


class HookEncoder:
    """Makes the lines of hook records. `redact` hides secrets in strings and buffers."""

    def __init__(
        self,
        encoder: Encoder,
        book: HookBook,
        *,
        redact: Redact | None = None,
        stacks: Stacks | None = None,
    ) -> None:
        self._encoder = encoder
        self._book = book
        self._redact = redact
        self._stacks = stacks or book.stacks
        self._forms: dict[tuple[int, int, int], HookForm] = {}
        self._known: dict[str, dict[bytes, str]] = {}

    def form(self, hook: int, match: HookMatch) -> HookForm | None:
        """What is known of a match's selector; None when nobody knows it any more."""
        key = (hook, match.selector, match.since)
        form = self._forms.get(key)
        if form is None:
            facts = self._book.describe(*key)
            if facts is None:
                return None
            if len(self._forms) >= _FORMS_MOST:
                self._forms.clear()
            form = self._forms[key] = self._make_form(facts)
        return form

    def owner(self, form: HookForm, event: HookEvent) -> tuple[int, int, int] | None:
        """tgid, image_ktime and tid of the process that TrackSock noted for a socket of the event."""
        for index in form.socks:
            value = event.values.get(index)
            if value is not None and value.type in (SOCK, SOCKET) and len(value.data) >= SENT_SOCK.size:
                _, thread, image_ktime = _OWNER.unpack_from(value.data)
                if thread:
                    return thread >> 32, image_ktime, thread & 0xFFFFFFFF
        return None

    def line(
        self,
        form: HookForm,
        event: HookEvent,
        match: HookMatch,
        process: ProcessLike,
        tid: int,
        stamp: str,
        caller: str = "",
    ) -> Line:
        """One event. `tid`: the thread; `caller`: exec_id of who called in the process's place."""
        notes: Notes = {}
        body = self.body(form, event, match, notes)
        own = policy_of(form, match)
        if caller:
            own += f',"caller":"{caller}"'
        if notes:
            own += f",{dumps(notes)[1:-1].decode()}"
        before, middle, ancestry = self.around(form, process, tid)
        return (
            f"{before}{body}{middle}{stamp}{BEHIND_TIME}".encode(),
            f"{ancestry}{own}}}}}\n".encode(),
        )

    def body(self, form: HookForm, event: HookEvent, match: HookMatch, notes: Notes) -> str:
        """What stands between process and time; what it does not tell is added to the notes."""
        values = event.values
        body = form.before_args
        before = ',"args":['
        for one in form.args:
            value = values.get(one.index)
            known = None if value is None or value.status else one.known.get(value.data)
            if known is None:
                body += before + one.json(value, notes)
            else:
                body += f"{before}{one.begin}{known}{one.end}"
            before = ","
        if form.args:
            body += "]"
        returned = form.returned
        if returned is not None and returned.index in values:
            body += f',"return":{returned.json(values[returned.index], notes)}'
        if match.actions & STACKS and self._stacks is not None and form.kind == "process_kprobe":
            body += form.action + self._traces(event, match, self._stacks, form.after_args, notes)
        else:
            body += form.action + form.after_args
        if form.data:
            body += f',"data":[{",".join([one.json(values.get(one.index), notes) for one in form.data])}]'
        return body

    def around(self, form: HookForm, process: ProcessLike, tid: int) -> tuple[str, str, str]:
        """Events often come from one thread in a row. What may change of a process meanwhile are its
        description and its parent's, and who its ancestors are."""
        parent = process.parent
        known = parent and (parent.fragment, parent.lineage)
        state = (self._encoder.changes, process.fragment, known)
        last = form.last
        if last is not None and last[0] is process and last[1] == tid and last[2] == state:
            return last[3]
        around = self._encoder.around_hook(form.kind, process, tid)
        known = parent and (parent.fragment, parent.lineage)
        state = (self._encoder.changes, process.fragment, known)
        form.last = (process, tid, state, around)
        return around

    def _traces(self, event: HookEvent, match: HookMatch, stacks: Stacks, between: str, notes: Notes) -> str:
        kernel, user = "", ""
        if match.actions & ACTION_USER_STACK:  # first: the process may soon be gone
            frames = stacks.user(event.user_stack, event.head.tgid) if event.user_stack >= 0 else []
            user = _trace("user_stack_trace", frames, event.user_stack, notes)
        if match.actions & ACTION_KERNEL_STACK:
            frames = stacks.kernel(event.kernel_stack) if event.kernel_stack >= 0 else []
            kernel = _trace("kernel_stack_trace", frames, event.kernel_stack, notes)
        return kernel + between + user

    def _make_form(self, facts: HookFacts) -> HookForm:
        form = HookForm(facts)
        for shown in facts.use.shown:
            value = facts.use.values[shown.value]
            row = row_of(shown.type, value.type)
            if not row.member:
                continue
            if row.member == "sock_arg":
                form.socks.append(facts.indexes[shown.value])
            if shown.is_return:
                one = form.returned = self._shown(facts, shown, row, "return")
            else:
                is_data = shown.is_data and form.kind == "process_kprobe"
                kind, found = ("data", form.data) if is_data else ("args", form.args)
                one = self._shown(facts, shown, row, f"{kind}.{len(found)}")
                found.append(one)
            form.shown.append(one)
        return form

    def _shown(self, facts: HookFacts, shown: Shown, row: Row, name: str) -> ShownValue:
        value = facts.use.values[shown.value]
        return ShownValue(
            facts.indexes[shown.value],
            row,
            name,
            label=shown.label,
            has_steps=bool(value.steps),
            known=self._known.setdefault(f"{shown.type} {int(value.type)}", {}),
            redact=self._redact,
        )


def policy_of(form: HookForm, match: HookMatch) -> str:
    """The key `policy` below `tracehound`, behind a comma."""
    if match.suppressed or match.actions & TOLD:
        return policy_json(form.policy, form.would, match)
    return form.own


def _around_args(kind: str, facts: HookFacts) -> tuple[str, str, str]:
    """What stands before the arguments, behind them, and behind a kernel stack: in the order of the messages'
    fields, as Tetragon writes them."""
    hook = facts.use.hook
    policy = _field("policy_name", facts.policy)
    message, tags = _field("message", hook.message), _field("tags", hook.tags)
    action = _field("action", _last_action(_of(facts, "actions")))
    name = _field("function_name", facts.use.function_name)
    if kind == "process_lsm":
        return name + policy + message, action, tags
    if kind == "process_tracepoint":
        subsystem, _, event = hook.target.rpartition("/")
        before = _field("subsys", subsystem) + _field("event", event)
        return before, policy + action, message + tags
    again = _field("return_action", _last_action(_of(facts, "return_actions")))
    return name, action, policy + again + message + tags


def _field(name: str, value: object) -> str:
    return f',"{name}":{dumps(value).decode()}' if value else ""


def _of(facts: HookFacts, actions: str) -> tuple[Action, ...]:
    selector = facts.chosen
    found: tuple[Action, ...] = getattr(selector, actions) if selector is not None else ()
    return found


def _last_action(actions: tuple[Action, ...]) -> str:
    """Tetragon tells the last one, in monitor mode, too."""
    name = actions[-1].name if actions else "Post"
    return f"KPROBE_ACTION_{name.upper()}"


def _policy(facts: HookFacts) -> dict[str, Any]:
    selector = facts.chosen
    content: dict[str, Any] = {"selector": facts.selector}
    if selector is not None and selector.label:
        content["label"] = selector.label
    if facts.namespace:
        content["namespace"] = facts.namespace
    return content


def _trace(name: str, frames: list[Frame], stack: int, notes: Notes) -> str:
    """A stack trace; addresses only where they may be shown. Noted are build ids, and a stack that could not
    be kept or read; a thread without one (`stack` is -EFAULT) has none to lose."""
    for frame in frames:
        if frame.build_id:
            notes.setdefault("build_ids", {})[frame.module] = frame.build_id
    if not frames and (stack >= 0 or stack == NO_ROOM):
        notes.setdefault("truncated", []).append(name)
    entries = [
        {
            key: value
            for key, value in (
                ("address", str(frame.address) if frame.address else ""),
                ("offset", str(frame.offset) if frame.offset else ""),
                ("symbol", frame.symbol),
                ("module", frame.module),
            )
            if value
        }
        for frame in frames
    ]
    return f',"{name}":{dumps(entries).decode()}' if entries else ""
