# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules explain`: which part of which rule matched what, and what would silence it."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.cli.arguments import log_dir_from, settings_from
from agent.cli.asking import period_of
from agent.cli.color import Palette, palette, wants_color
from agent.cli.render_detection import about_text, lineage_text, rule_of
from agent.cli.rule_texts import rules_of
from agent.cli.text import clean
from agent.detect.exceptions import RuleException
from agent.detect.explain import Proposal, exception_yaml, matched_lines, propose, rule_id
from agent.detect.rules import Rule, read_rules
from agent.detect.samples import SampleError, Samples, read_samples
from agent.detect.trying import samples_file, spares
from agent.errors import LogUnavailable, UsageError
from agent.store.records import Problems, Wanted, find_records

Content = dict[str, Any]
SHORTEST = 8
"""Digits of an id that are enough to name it."""
UNSAID = "(write who answers for it)"
NO_REASON = "(write why nobody has to look at it)"
DAY_S = 86400


def run(args: argparse.Namespace) -> int:
    """Print it and return 0. Raises UsageError when no detection has the id."""
    detections = _detections(args)
    detection = _wanted(args.detection.lower(), detections)
    same = [one for one in detections if rule_id(one) == rule_id(detection)][-args.last :]
    rule = _rule(args, rule_id(detection))
    samples = _samples(rule)
    proposal = propose(
        detection, same, _spares(rule, samples), args.owner or UNSAID, args.reason or NO_REASON, _day(args)
    )
    if args.format == "json":
        print(json.dumps(_as_json(detection, rule, samples, proposal), indent=2))
    else:
        for line in _as_text(detection, rule, samples, proposal, palette(wants_color(args.color))):
            print(line)
    return 0


def _detections(args: argparse.Namespace) -> list[Content]:
    """In the order of the log. Raises LogUnavailable."""
    wanted, problems = Wanted("type", {"detection"}, *period_of(args)), Problems()
    log_dir = log_dir_from(args)
    try:
        found = list(find_records(log_dir, wanted, problems))
    except OSError as error:
        raise LogUnavailable(f"cannot read the log in {log_dir}: {error.strerror}") from error
    for text in problems:
        print(f"tracehound: {clean(text)}", file=sys.stderr)
    contents = (record["tracehound"].get("detection") for record in found)
    return [content for content in contents if isinstance(content, dict)]


def _wanted(wanted: str, detections: list[Content]) -> Content:
    if len(wanted) < SHORTEST:
        raise UsageError(f"{wanted}: too short", f"give at least {SHORTEST} digits of the id")
    for content in reversed(detections):
        if str(content.get("id", "")).startswith(wanted):
            return content
    raise UsageError(
        f"no detection {wanted} in the log",
        "`tracehound detections -o json | jq -r .tracehound.detection.id`",
    )


def _rule(args: argparse.Namespace, wanted: str) -> Rule | None:
    """The rule as it is now, where it can be found."""
    found = rules_of(args.rules).by_id() if args.rules else {}
    if args.log_dir is None:
        settings = settings_from(args).settings.detect
        there = [name for name in (*settings.rules, *settings.dirs) if Path(name).exists()]
        found = read_rules(there).by_id() | found  # the directory may well be empty
    return found.get(wanted) or rules_of([]).by_id().get(wanted)


def _samples(rule: Rule | None) -> Samples:
    if rule is None:
        return Samples((), ())
    try:
        return read_samples(samples_file(rule))
    except (OSError, SampleError):
        return Samples((), ())


def _spares(rule: Rule | None, samples: Samples) -> Any:
    def test(exception: RuleException) -> bool:
        return rule is None or spares(rule, samples, exception)

    return test


def _day(args: argparse.Namespace) -> datetime.date:
    try:
        return datetime.datetime.fromtimestamp(time.time() + args.days * DAY_S, datetime.UTC).date()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"--days {args.days}: no calendar goes so far", "write 90, or 365") from None


def _as_text(
    detection: Content, rule: Rule | None, samples: Samples, proposal: Proposal | None, color: Palette
) -> Iterator[str]:
    above = lineage_text(detection)
    yield f"{color.bold}{rule_of(detection)}{color.end}"
    yield f"  {about_text(detection)}{f'  ‹ {above}' if above else ''}"
    told = detection.get("rule") or {}
    if rule is None:
        number = clean(rule_id(detection))
        yield f"  {color.warn}the rule is not at hand{color.end} (id {number}); --rules says where"
    elif rule.version != told.get("version", rule.version):
        yield f"  {color.warn}the rule was changed since{color.end}: {clean(str(rule.path))}"
    else:
        yield f"  {clean(str(rule.path))}:{rule.line}"
    yield "matched:"
    for one in matched_lines(detection):
        yield f"  {clean(one['selection'])}: {clean(one['field']) or '(anywhere)'} is {clean(one['value'])}"
    yield from _exception_text(proposal, samples, color)


def _exception_text(proposal: Proposal | None, samples: Samples, color: Palette) -> Iterator[str]:
    if proposal is None:
        yield "no exception of four fields or fewer spares the rule's positive samples: change the rule"
        return
    count = len(samples.positive)
    spared = f"none of its {count} positive samples" if count else "the rule has no samples to try it with"
    these = f"{proposal.suppressed:,} of its last {proposal.of:,} detections"
    yield f"this exception suppresses {these}, {spared}:"
    for line in exception_yaml(proposal.exception).splitlines():
        yield f"  {line}"
    yield f"{color.dim}review it, and put it into a file below /etc/tracehound/exceptions.d{color.end}"


def _as_json(
    detection: Content, rule: Rule | None, samples: Samples, proposal: Proposal | None
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": detection.get("id"),
        "rule": detection.get("rule"),
        "file": str(rule.path) if rule else "",
        "matched": matched_lines(detection),
        "exception": None,
    }
    if proposal is not None:
        answer["exception"] = {
            "text": exception_yaml(proposal.exception),
            "suppresses": proposal.suppressed,
            "of": proposal.of,
            "positive_samples": len(samples.positive),
        }
    return answer
