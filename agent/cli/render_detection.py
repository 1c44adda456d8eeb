# SPDX-License-Identifier: Apache-2.0
"""Detections, stories and sets of rules in words: for `events`, `run`, `detections` and `stories`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli.clock import Clock
from agent.cli.text import base_name, clean, shorten

Content = Mapping[str, Any]

LEVELS = ("informational", "low", "medium", "high", "critical")
"""Sigma's, rising."""
TONES = {"critical": "alarm", "high": "bad", "medium": "warn", "low": "info", "informational": "dim"}
"""Names of colours (agent.cli.color.Palette)."""
STORY_SHOWN = 8
"""Characters of a story's id that people see; `tracehound stories` takes them."""
_COMMAND_SHOWN, _ROOT_SHOWN = 200, 60
_RULES_SHOWN = 3


def level_of(content: Content) -> str:
    """One of LEVELS; `medium` where it says nothing that is known."""
    level = content.get("level")
    return level if level in LEVELS else "medium"


def rule_of(content: Content) -> str:
    """Title of the rule that a detection is of."""
    rule = content.get("rule")
    named = rule.get("title") or rule.get("id") if isinstance(rule, Mapping) else rule
    return clean(str(named or content.get("title") or "unnamed rule"))


def story_of(content: Content) -> str:
    """The id of its story, as people see it."""
    return clean(str(content.get("story") or "")[:STORY_SHOWN])


def process_text(process: Any, limit: int = _COMMAND_SHOWN) -> str:
    """`4711 /bin/nc -e /bin/sh`; empty without a process."""
    if not isinstance(process, Mapping) or "pid" not in process:
        return ""
    arguments = process.get("arguments") or ""
    text = arguments if isinstance(arguments, str) else " ".join(map(str, arguments[1:]))
    command = f"{process.get('binary', '?')} {text}".rstrip()
    return clean(f"{process['pid']} {shorten(command, limit)}")


def lineage_text(content: Content) -> str:
    """`bash ‹ sshd ‹ systemd`: who started it, at most four."""
    above = [one for one in content.get("ancestors") or () if isinstance(one, Mapping) and one.get("binary")]
    names = [base_name(str(one["binary"])) for one in above]
    return " ‹ ".join(names[:3] + (["…", names[-1]] if len(names) > 4 else names[3:]))


def detection_text(content: Content, _clock: Clock) -> str:
    """`high: Netcat Reverse Shell: 4711 /bin/nc -e /bin/sh ‹ bash ‹ sshd (story 3fa9c1d2)`."""
    parts = [level_of(content), rule_of(content), about_text(content)]
    text = ": ".join(part for part in parts if part)
    lineage, story = lineage_text(content), story_of(content)
    return text + (f" ‹ {lineage}" if lineage else "") + (f" (story {story})" if story else "")


def about_text(content: Content) -> str:
    """The process that a detection is of, and the line of a log, as far as there are any."""
    return ": ".join(text for text in (process_text(content.get("process")), line_text(content)) if text)


def line_text(content: Content) -> str:
    """The line of a log that a detection is of; empty when it is of an event."""
    event = content.get("event")
    own = event.get("tracehound") if isinstance(event, Mapping) else None
    line = own.get("log_line") if isinstance(own, Mapping) else None
    text = line.get("line") if isinstance(line, Mapping) else None
    return clean(shorten(text, _COMMAND_SHOWN)) if isinstance(text, str) else ""


def story_text(content: Content, clock: Clock) -> str:
    """`3fa9c1d2 begins: high, 1 detection below 4711 /bin/bash: Netcat Reverse Shell`."""
    words = {"open": "begins", "updated": "goes on", "closed": "is over"}
    state = words.get(str(content.get("state")), str(content.get("state")))
    count = int(content.get("count", 0))
    root = process_text(content.get("root"), _ROOT_SHOWN)
    counted = f"{count:,} detection{'s' if count != 1 else ''}" + (f" below {root}" if root else "")
    since = f" since {clock(content['first'])}" if count > 1 and "first" in content else ""
    name = str(content.get("id", "?"))[:STORY_SHOWN]
    return f"{name} {state}: {level_of(content)}, {counted}{since}: {rules_text(content)}"


def rules_text(content: Content) -> str:
    """Titles of a story's rules, the most frequent first, with their counts."""
    rules = content.get("rules")
    found = [one for one in rules.values() if isinstance(one, Mapping)] if isinstance(rules, Mapping) else []
    found.sort(key=lambda one: -int(one.get("count", 0)))
    shown = [
        clean(str(one.get("title") or "unnamed rule"))
        + (f" ×{one['count']:,}" if one.get("count", 1) > 1 else "")
        for one in found[:_RULES_SHOWN]
    ]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more rules" if more else "")


def ruleset_text(content: Content, _clock: Clock) -> str:
    """`61 loaded, 2 refused, from record 88 on: …`."""
    start = f"{content.get('loaded', '?')} loaded, {content.get('refused', 0)} refused"
    if content.get("not_evaluable"):
        start += f", {content['not_evaluable']} not evaluable here"
    problems = "; ".join(str(problem) for problem in content.get("problems") or ())
    return f"{start}, from record {content.get('from_sequence', '?')} on" + (
        f": {problems}" if problems else ""
    )
