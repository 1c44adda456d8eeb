# SPDX-License-Identifier: Apache-2.0
"""How far a report may be trusted, in sentences that stand in its head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agent.log.times import SECOND_NS, format_time
from agent.store.answers import Timeline
from agent.store.report.facts import Facts
from agent.store.report.text import utc

_MISSED = {"exec": "processes", "fork": "processes", "exit": "ends of processes"}
_WORDS = {
    "agent_not_running": "the agent did not run",
    "agent_down": "the agent did not run",
    "records_removed": "records were removed from the log",
    "unclean_shutdown": "the agent was killed or the machine went down",
}
"""Causes whose name alone tells too little; the others are those of docs/architecture.md."""


class Statement(NamedTuple):
    """One sentence."""

    tone: str
    """`good`, `warn` (something may be missing), `bad` (the record is broken) or `info`."""
    text: str


def statements(timeline: Timeline, facts: Facts) -> Iterator[Statement]:
    """All sentences, the verdict first."""
    yield _verdict(timeline, facts)
    told = timeline.tree.completeness
    yield Statement("info", f"The log covers {utc(told.from_ns)} to {utc(told.to_ns)}.")
    if facts.since_ns and told.from_ns and facts.since_ns < told.from_ns:
        yield Statement(
            "warn", f"Older than the log: {utc(facts.since_ns)} to {utc(told.from_ns)} is not covered."
        )
    yield from (Statement("warn", _loss(loss)) for loss in told.losses)
    for first, last in told.gaps:
        count = last - first + 1
        what = f"Record {first} is" if count == 1 else f"Records {first} to {last} ({count:,}) are"
        yield Statement("bad", f"{what} missing, and nothing in the log accounts for it.")
    yield from _truncations(timeline)
    for moment in told.reboots:
        yield Statement("info", f"The machine was started anew at {utc(moment)}.")
    yield from (Statement("info", note) for note in told.notes)
    yield _chain(told.chain)
    if facts.hidden:
        yield Statement("info", f"Left out of this report on request: {facts.hidden}.")


def _verdict(timeline: Timeline, facts: Facts) -> Statement:
    told = timeline.tree.completeness
    if told.gaps or is_proven(told.chain) is False:
        return Statement("bad", "The log behind this report is damaged: something was removed or changed.")
    late = facts.since_ns and told.from_ns and facts.since_ns < told.from_ns
    if told.losses or late or timeline.truncated or timeline.tree.truncated:
        return Statement("warn", "This report may lack something; what and when is told below.")
    return Statement("good", "Nothing is known to be missing from this report.")


def _loss(loss: Mapping[str, Any]) -> str:
    cause = str(loss.get("cause") or loss.get("type") or "unknown cause")
    start, end = str(loss.get("from") or ""), str(loss.get("to") or "")
    when = f"between {_short(start)} and {_short(end)}" if start and end else f"around {_short(start or end)}"
    what = _MISSED.get(str(loss.get("hook", "")), "events")
    count = f"{loss['count']:,} lost, " if isinstance(loss.get("count"), int) else ""
    where = f" at {loss['hook']}" if loss.get("hook") else ""
    words = _WORDS.get(cause, cause.replace("_", " "))
    return f"May miss {what} {when if start or end else 'at an unknown time'}: {count}{words}{where}."


def _short(time: str) -> str:
    """A time of the log to the millisecond."""
    date, _, clock = time.removesuffix("Z").partition("T")
    return f"{date} {clock[:12]} UTC" if clock else time


def _truncations(timeline: Timeline) -> Iterator[Statement]:
    if timeline.tree.truncated:
        yield Statement(
            "warn",
            f"{timeline.tree.truncated:,} processes are left out because there are too many, first those "
            "without events here. A report on a shorter period (--since, --until) or on a process further "
            "down (--exec-id) has them.",
        )
    if timeline.truncated:
        first_s = -(-timeline.happenings[0].time_ns // SECOND_NS) if timeline.happenings else 0
        first = format_time(first_s * SECOND_NS).replace(".000000000", "")
        yield Statement(
            "warn",
            f"{timeline.truncated:,} events before {_short(first)} are left out because there are too many. "
            f"A report with --until {first} has the last of them; --limit takes more.",
        )


def is_proven(chain: Mapping[str, Any]) -> bool | None:
    """What the verification of the log's chain said; None when nobody asked, or it could not tell."""
    verdict = chain.get("ok", chain.get("verified"))
    return verdict if isinstance(verdict, bool) else None


def _chain(chain: Mapping[str, Any]) -> Statement:
    details = ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in _telling(chain))
    tail = f": {details}" if details else ""
    proven = is_proven(chain)
    if proven is None:
        return Statement("info", f"The chain of hashes was not verified{tail}.")
    if proven:
        return Statement("good", f"The chain of hashes is intact{tail}.")
    return Statement("bad", f"The chain of hashes is broken{tail}.")


def _telling(chain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in chain.items():
        if name not in ("ok", "verified") and value not in (None, "", [], {}):
            yield name, value


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(_value(one) for one in value)
    if isinstance(value, Mapping):
        return " ".join(f"{name} {_value(one)}" for name, one in value.items())
    return str(value)
