# SPDX-License-Identifier: Apache-2.0
"""`tracehound replay`: rules and policies over a capture, without root and without an agent."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from agent.cli.arguments import add_color_argument, add_output_argument
from agent.cli.color import Palette, palette, wants_color
from agent.cli.policy_past import hook_json, hook_lines
from agent.cli.policy_replay import library_written, wanted_policies
from agent.cli.render_detection import TONES, about_text, level_of, lineage_text, rule_of
from agent.cli.rule_texts import good_exceptions, good_rules
from agent.detect.replay import read_capture
from agent.detect.running import detections_in, engine_of
from agent.errors import UsageError
from agent.policy.replay import Hooked, PolicyReplay

HELP = """\
Runs Sigma rules and the model of the policies' selectors over a capture: the same answer on every machine,
with neither root nor an agent. Captures come from `tracehound capture`; any piece of the log is one, too."""
EXAMPLES = """\
exit status: 0 something was found, 1 nothing, 2 wrong call

examples:
  tracehound replay --rules my-rule.yaml incident.jsonl
  tracehound replay --rules rules/ --policies deny-shadow.yaml incident.jsonl -o json
  zcat incident.jsonl.gz | tracehound replay --rules netcat-exec -
"""
Content = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("file", metavar="FILE", help="- for standard input")
    for name, what, text in _OPTIONS:
        parser.add_argument(name, action="append", default=[], metavar=what, help=f"{text} (may be repeated)")
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)


_OPTIONS = (
    ("--rules", "RULE", "Sigma rules: a file, a directory, or a rule of the library"),
    ("--policies", "FILE", "TracingPolicies"),
    ("--recorded-by", "FILE", "policies that ran when the capture was taken"),
    ("--exceptions", "FILE", "leave out what these silence"),
)


def run(args: argparse.Namespace) -> int:
    """0 when something was found, 1 when not. Raises UsageError."""
    if not args.rules and not args.policies:
        raise UsageError("nothing to replay", "name --rules, --policies, or both")
    records = list(read_capture(args.file))
    found = _detections(args, records) if args.rules else []
    hooked = _judged(args, records) if args.policies else []
    if args.format == "json":
        print(json.dumps({"detections": found, "policies": [hook_json(one) for one in hooked]}, indent=1))
    else:
        color = palette(wants_color(args.color))
        for content in found:
            print(detection_line(content, color))
        for one in hooked:
            print("\n".join(hook_lines(one, color)))
        if args.rules:
            print(f"{len(found):,} detections in {len(records):,} records")
    return 0 if found or any(one.result.matched for one in hooked) else 1


def detection_line(content: Content, color: Palette) -> str:
    """One detection in one line."""
    level, above = level_of(content), lineage_text(content)
    crumb = f"  {color.dim}‹ {above}{color.end}" if above else ""
    tone = getattr(color, TONES[level])
    process = about_text(content)
    return f"{tone}{level:<13}{color.end} {rule_of(content)}: {process}{crumb}"


def _detections(args: argparse.Namespace, records: list[dict[str, Any]]) -> list[Content]:
    engine = engine_of(good_rules(args.rules), good_exceptions(args.exceptions))
    return list(detections_in(engine, records))


def _judged(args: argparse.Namespace, records: list[dict[str, Any]]) -> list[Hooked]:
    policies = wanted_policies(args.policies)
    replay = PolicyReplay(policies, library_written(args.recorded_by, policies))
    for record in records:
        replay.take(record)
    replay.close()
    if replay.odd:
        told = f"{replay.odd:,} records are not as the agent writes them and were passed over"
        print(f"tracehound: {told}", file=sys.stderr)
    return replay.hooked
