# SPDX-License-Identifier: Apache-2.0
"""Why a rule found something, and the smallest exception that would have kept it quiet. Pure.

The exception names as few fields as spare every positive sample of the rule, two at least: the name of a
shell alone would silence whatever people do with it. Of equally small ones it prefers what lasts longest.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from agent.detect.exceptions import DAY_NS, Exceptions, Part, RuleException
from agent.detect.subject import Content, values_of
from agent.log.times import parse_time

CANDIDATES = (
    "Image", "ParentImage", "ContainerImage", "Workload", "Namespace", "TargetFilename", "DestinationIp",
    "CurrentDirectory", "Ancestors", "CommandLine", "Program", "Message",
)  # fmt: skip
"""Fields that an exception is made of, most lasting ones first."""
FEWEST, MOST = 2, 4
"""Fields of an exception."""

Spares = Callable[[RuleException], bool]
"""Whether all positive samples of the rule are still found with an exception."""


class Proposal(NamedTuple):
    """An exception, and what it would do."""

    exception: RuleException
    suppressed: int
    """Of the detections at hand."""
    of: int


def propose(
    detection: Content,
    others: Sequence[Content],
    spares: Spares,
    owner: str,
    reason: str,
    last_day: datetime.date,
) -> Proposal | None:
    """The smallest exception that silences a detection, with how many of `others` (of the same rule, this one
    included) it would silence; None when no small one spares the samples."""
    values = values_of(detection)
    parts = [
        Part(field, "", (found[-1 if field == "Ancestors" else 0].casefold(),))
        for field in CANDIDATES
        if (found := _known(field, values(field)))
    ]
    for size in range(FEWEST, MOST + 1):
        for chosen in combinations(parts, size):
            one = _exception(detection, chosen, owner, reason, last_day)
            if spares(one):
                return Proposal(one, suppressed_by(one, others), len(others))
    return None


def suppressed_by(exception: RuleException, detections: Iterable[Content]) -> int:
    """How many detections an exception would have kept quiet, had it been there."""
    alone = Exceptions((exception,))
    return sum(
        alone.silencing(rule_id(one), values_of(one), min(time_of(one), exception.expires_ns - 1)) is not None
        for one in detections
    )


def exception_yaml(one: RuleException) -> str:
    """An exception as a file has it."""
    when = {str(part): part.values[0] if len(part.values) == 1 else list(part.values) for part in one.when}
    lines = [f"- name: {_word(one.name)}", f"  rules: [{', '.join(map(_word, one.rules))}]"]
    lines += [f"  owner: {_word(one.owner)}", f"  reason: {_word(one.reason)}", f"  expires: {one.expires}"]
    return "\n".join(
        [*lines, "  when:", *(f"    {_word(key)}: {_list(value)}" for key, value in when.items())]
    )


def rule_id(content: Content) -> str:
    """Id of the rule that a detection is of."""
    rule = content.get("rule")
    return str(rule.get("id", "")) if isinstance(rule, Mapping) else str(rule or "")


def time_of(content: Content) -> int:
    """Wall-clock nanoseconds of its event; 0 when it does not say."""
    try:
        return parse_time((content.get("event") or {}).get("time", ""))
    except (ValueError, AttributeError):
        return 0


def _known(field: str, values: Sequence[str]) -> list[str]:
    """Values worth naming. Of ancestors the first process of all says nothing."""
    found = [value for value in values if value not in ("", "/")]
    return found[1:-1] if field == "Ancestors" else found


def _exception(
    detection: Content, parts: tuple[Part, ...], owner: str, reason: str, last_day: datetime.date
) -> RuleException:
    title = (detection.get("rule") or {}).get("title") or detection.get("title") or rule_id(detection)
    who = parts[0].values[0].rpartition("/")[2]
    expires = ((last_day - datetime.date(1970, 1, 1)).days + 1) * DAY_NS
    return RuleException(
        f"{who}: {title}", (rule_id(detection),), owner, reason, expires, parts, Path("(proposed)"), 1
    )


def _list(value: str | list[str]) -> str:
    return _word(value) if isinstance(value, str) else f"[{', '.join(map(_word, value))}]"


def _word(text: str) -> str:
    """A text in YAML, in quotes where it may be read as something else."""
    plain = text.replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum()
    is_word = plain and text.isascii() and not text[0].isdigit() and text[0] != "-"
    reserved = text.lower() in ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
    return text if is_word and not reserved else _quoted(text)


def _quoted(text: str) -> str:
    """As JSON, which is YAML; what a terminal may take for a command is escaped as YAML does it (5.7)."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in quoted)


def matched_lines(content: Content) -> list[dict[str, Any]]:
    """What matched, in the order of the rule: selection, field, value."""
    return [
        {name: str(one.get(name, "")) for name in ("selection", "field", "value")}
        for one in content.get("matched") or ()
        if isinstance(one, Mapping)
    ]
