# SPDX-License-Identifier: Apache-2.0
"""The agent's own records as lines: losses and faults conspicuous, routine dim."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.cli.clock import Clock
from agent.cli.color import Palette
from agent.cli.render_detection import TONES, detection_text, level_of, ruleset_text, story_text
from agent.cli.text import clean, shorten
from agent.configuration.units import human_duration

Record = Mapping[str, Any]

QUIET_KINDS = frozenset({"segment", "heartbeat"})
"""Kinds that `tracehound events` leaves out unless they are asked for."""


SHOWN = 2000
"""Characters of an own record on a compact line; `-o wide` and `-o json` have them all."""


def own_kind(record: Record) -> str:
    """The kind of an own record; empty when the record is an event."""
    own = record.get("tracehound") or {}
    return next((key for key in own if key != "sequence"), "")


def render_own(record: Record, clock: Clock, color: Palette, *, whole: bool = False) -> str:
    """One line of an own record, long ones cut unless `whole`. Raises what a malformed record raises."""
    kind = own_kind(record)
    content = record["tracehound"][kind]
    text, level = _KINDS.get(kind, (_other, "info"))
    if kind == "policy" and content.get("action") in ("alarm", "refused"):
        level = "alarm"
    if kind == "detection":
        level = {"bad": "alarm"}.get(TONES[level_of(content)], TONES[level_of(content)])
    if kind == "rules" and content.get("refused"):
        level = "warn"
    if _is_relief(content):
        level = "good"
    line = clean(shorten(text(content, clock), 0 if whole else SHOWN))
    start = f"{color.dim}{clock(record['time'])}{color.end} " if "time" in record else ""
    name = clean(kind.replace("_", " "))
    if level == "alarm":
        return f"{start}{color.alarm}!!! {name.upper()}{color.end} {color.bad}{line}{color.end}"
    tone = getattr(color, level)
    return f"{start}{tone}--- {name}: {line}{color.end}"


def _is_relief(content: Any) -> bool:
    """Whether a record is good news where others of its kind are alarms: a shedding step undone, a program
    attached again, settings taken."""
    if not isinstance(content, dict):
        return False
    if content.get("attached") is True or content.get("ok") is True:
        return True
    return bool(content.get("step", 0) < content.get("from_step", 0))


def loss_text(content: Record, clock: Clock) -> str:
    """`12 lost: ring_full at exec (lifecycle), 21:18:40.100 to 21:18:46.195`."""
    hook = f" at {content['hook']}" if "hook" in content else ""
    lane = f" ({content['lane']})" if "lane" in content else ""
    text = f"{content.get('count', '?')} lost: {content.get('cause', 'unknown cause')}{hook}{lane}"
    if "from" in content and "to" in content:
        text += f", {clock(content['from'])} to {clock(content['to'])}"
    return text


def _degraded(content: Record, _clock: Clock) -> str:
    step, before = content.get("step", "?"), content.get("from_step", "?")
    fill = f", ring {float(content['ring_fill']):.0%} full" if "ring_fill" in content else ""
    return f"shedding step {before} → {step}: {content.get('reason', '')}{fill}"


def _start(content: Record, _clock: Clock) -> str:
    programs = len(content.get("programs", ()))
    return (
        f"tracehound {content.get('version', '')}, pid {content.get('pid', '?')}, "
        f"kernel {content.get('kernel', '?')}, {programs} programs attached"
    )


def _stop(content: Record, _clock: Clock) -> str:
    events, lost = content.get("events", "?"), content.get("lost", 0)
    return f"{content.get('reason', 'no reason given')}, {events} events, lost {_counts(lost)}"


def _unclean(content: Record, clock: Clock) -> str:
    last = content.get("last_time")
    when = clock(last) if last else "?"
    torn = content.get("torn_bytes", 0)
    last_sequence = content.get("last_sequence", "?")
    text = f"no stop was written after {when} (sequence {last_sequence}, {torn} torn bytes)"
    return f"{text}{_window(content)}"


def _window(content: Record) -> str:
    """What may be gone; empty in logs of older versions, which do not say."""
    if content.get("same_boot") is True:
        return "; nothing that was written is gone"
    seconds = content.get("window_seconds")
    if seconds is None:
        return ""
    window = "what the kernel had not written back"
    if seconds >= 0:
        window = f"the last {human_duration(seconds)}" if seconds else "what was being written"
    return f"; if power was cut, {window} may be gone"


def _attachment(content: Record, _clock: Clock) -> str:
    state = "attached again" if content.get("attached") else "found detached"
    by = f" by {content['by']}" if content.get("by") else ""
    return f"program {content.get('program', '?')} {state}{by}"


def _reload(content: Record, _clock: Clock) -> str:
    what = "settings taken" if content.get("ok") else "settings refused, the old ones stay"
    problems = "; ".join(str(problem) for problem in content.get("problems", ()))
    return f"{what}: {problems}" if problems else f"{what}, nothing changed"


def _policy(content: Record, _clock: Clock) -> str:
    """`secrets added by /etc/…/secrets.yaml: enforce, 2 hooks (fentry, lsm)`."""
    name = content.get("name") or "a text"
    start = f"{name} {content.get('action', '?')} by {content.get('by', '?')}"
    if content.get("error"):
        return f"{start}: {content['error']}"
    hooks = content.get("hooks", ())
    kinds = ", ".join(dict.fromkeys(str(hook.get("attach")) for hook in hooks))
    parts = [str(content["mode"])] if "mode" in content else []
    parts += [f"{len(hooks)} hooks ({kinds})"] if hooks else []
    return f"{start}: {', '.join(parts)}" if parts else start


def _throttle(content: Record, _clock: Clock) -> str:
    cgroup, count = content.get("cgroup", {}), content.get("suppressed", 0)
    who = f"cgroup {cgroup.get('name') or cgroup.get('id', '?')}"
    if content.get("type") == "THROTTLE_START":
        return f"{who} has more events than it may: they are held back"
    return f"{who} is calm again, {count} events were held back"


def _clock_step(content: Record, _clock: Clock) -> str:
    seconds = int(content.get("nanoseconds", 0)) / 1e9
    return f"the wall clock was set {'forward' if seconds > 0 else 'back'} by {human_duration(abs(seconds))}"


def _retention(content: Record, _clock: Clock) -> str:
    first, last = content.get("first_sequence", "?"), content.get("last_sequence", "?")
    text = f"{content.get('removed', '?')} by {content.get('reason', '?')}, records {first} to {last}"
    unread = content.get("unread_by") or {}
    return text + "".join(f"; {count} unread by {name}" for name, count in unread.items())


def _heartbeat(content: Record, _clock: Clock) -> str:
    programs = content.get("programs", ())
    attached = sum(1 for program in programs if program.get("attached"))
    return (
        f"{content.get('events', 0)} events, lost {_counts(content.get('lost', {}))}, "
        f"{content.get('processes', 0)} processes, {attached} of {len(programs)} programs attached"
    )


def _segment(content: Record, _clock: Clock) -> str:
    boot, kernel, version = (content.get(name, "?") for name in ("boot_id", "kernel", "version"))
    return f"boot {boot}, kernel {kernel}, version {version}"


def _fork(content: Record, _clock: Clock) -> str:
    process, parent = content["process"], content.get("parent", {})
    who = f"{process.get('binary', '?')} ({process.get('pid', '?')})"
    return f"{who} forked by pid {parent.get('pid', '?')}, no exec"


def _notice(content: Record, _clock: Clock) -> str:
    """Made by the reader of the log: records between two segments are gone."""
    missing = ""
    if "from_sequence" in content:
        missing = f", records {content['from_sequence']} to {content.get('to_sequence', '?')} are missing"
    return f"{content.get('cause', '?')} before {content.get('segment', '?')}{missing}".replace("_", " ")


def _log_line(content: Record, _clock: Clock) -> str:
    return f"{content.get('source', '?')}: {content.get('line', '')}"


def _other(content: Any, _clock: Clock) -> str:
    return str(content)


def _counts(counts: Any) -> str:
    """`12 (ring_full 10, map_full 2)` or `0`."""
    if not isinstance(counts, dict):
        return str(counts)
    total = sum(counts.values())
    causes = ", ".join(f"{cause} {count}" for cause, count in counts.items() if count)
    return f"{total} ({causes})" if total else "0"


_KINDS: dict[str, tuple[Callable[[Any, Clock], str], str]] = {
    "loss": (loss_text, "alarm"),
    "degraded": (_degraded, "alarm"),
    "unclean_shutdown": (_unclean, "alarm"),
    "notice": (_notice, "alarm"),
    "attachment": (_attachment, "alarm"),
    "reload": (_reload, "alarm"),
    "policy": (_policy, "info"),
    "throttle": (_throttle, "warn"),
    "clock_step": (_clock_step, "warn"),
    "retention": (_retention, "dim"),
    "start": (_start, "good"),
    "stop": (_stop, "warn"),
    "heartbeat": (_heartbeat, "dim"),
    "segment": (_segment, "dim"),
    "fork": (_fork, "dim"),
    "log_line": (_log_line, "dim"),
    "detection": (detection_text, "alarm"),
    "story": (story_text, "info"),
    "rules": (ruleset_text, "info"),
}

KINDS = tuple(_KINDS)
"""All kinds of own records; a `notice` is made by the reader, where the log itself has a hole."""
