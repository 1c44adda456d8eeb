# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules`: Sigma rules, checked, tested, tried over the past, and what they cover."""

from __future__ import annotations

import argparse
from importlib import import_module

from agent.cli.arguments import (
    above_zero,
    add_color_argument,
    add_output_argument,
    add_place_arguments,
    add_settings_arguments,
)
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, parse_when

HELP = """\
Checks Sigma rules, tests them with their samples, hunts with them over the recorded past, and says what
they cover. RULE is a file, a directory, or the id or file name of a rule of the library; without one, all of
the library."""
EXAMPLES = """\
exit status: 0 done, 1 a rule is wrong, a test fails or something failed, 2 wrong call

examples:
  tracehound rules check my-rules/              all mistakes at once; which hook each rule needs
  tracehound rules check my-rules/ --suggest-policies
  tracehound rules check my-rules/ --set collect.journal=true   as if lines of logs were collected
  tracehound rules list                         the library
  tracehound rules test                         every rule against its own samples
  tracehound rules hunt my-rule.yaml --since 7d would it have fired last week?
  tracehound rules explain 3fa9c1d2             why a detection, and the exception that would silence it
  tracehound rules coverage --results results.json -o navigator > layer.json
"""

HUNT_EXAMPLES = """\
exit status: 0 done, whether something was found or not, 1 something failed, 2 wrong call, 5 no log

examples:
  tracehound rules hunt my-rule.yaml --since 7d          would it have fired last week?
  tracehound rules hunt my-rules/ --exceptions known.yaml --limit 20
  tracehound rules hunt netcat-exec -o json | jq .counts
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Six sub-commands."""
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True, title="commands")
    check = commands.add_parser("check", help="all that is wrong with rules and exceptions, by line")
    check.add_argument("rules", nargs="*", metavar="RULE")
    check.add_argument(
        "--suggest-policies", action="store_true", help="which policies give the hooks that the rules need"
    )
    check.add_argument(
        "--exceptions",
        action="append",
        default=[],
        metavar="FILE",
        help="check these files of exceptions, too",
    )
    listing = commands.add_parser("list", help="rules with level and techniques")
    listing.add_argument("rules", nargs="*", metavar="RULE")
    test = commands.add_parser("test", help="each rule against its own positive and negative samples")
    test.add_argument("rules", nargs="*", metavar="RULE")
    _add_hunt(
        commands.add_parser(
            "hunt",
            help="rules over the recorded past",
            description="Would these rules have fired? The verdicts are those of the live engine.",
            epilog=HUNT_EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    _add_explain(commands.add_parser("explain", help="why a detection, and what would silence it"))
    coverage = commands.add_parser("coverage", help="techniques, rules, hooks, and what attacks have proved")
    _add_coverage(coverage)
    for one in (check, coverage):
        add_settings_arguments(one)
    for one in (check, listing, test):
        add_output_argument(one, "text", "json")
        add_color_argument(one)


def run(args: argparse.Namespace) -> int:
    """The sub-command's exit status."""
    return int(import_module(f"agent.cli.rules_{args.what}").run(args))


def _add_hunt(hunt: argparse.ArgumentParser) -> None:
    hunt.add_argument(
        "rules", nargs="+", metavar="RULE", help="a file, a directory, or a rule of the library by id or name"
    )
    _add_period(hunt)
    hunt.add_argument(
        "--exceptions", action="append", default=[], metavar="FILE", help="leave out what these silence"
    )
    hunt.add_argument("--limit", type=above_zero, default=1000, metavar="N", help="show N (default 1000)")
    hunt.add_argument(
        "--jobs", type=above_zero, default=0, metavar="N", help="processes (default: one per CPU, at most 4)"
    )
    add_output_argument(hunt, "text", "json")
    add_color_argument(hunt)
    add_place_arguments(hunt)


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument("detection", metavar="ID", help="of the detection; the first 8 digits are enough")
    explain.add_argument(
        "--rules", action="append", default=[], metavar="RULE", help="where its rule is, besides the library"
    )
    explain.add_argument(
        "--last", type=above_zero, default=1000, metavar="M", help="preview over M detections"
    )
    explain.add_argument("--owner", default="", help="who answers for the exception")
    explain.add_argument("--reason", default="", help="why nobody has to look at it")
    explain.add_argument("--days", type=above_zero, default=90, metavar="N", help="how long (default 90)")
    _add_period(explain)
    add_output_argument(explain, "text", "json")
    add_color_argument(explain)
    add_place_arguments(explain)


def _add_coverage(coverage: argparse.ArgumentParser) -> None:
    coverage.add_argument("rules", nargs="*", metavar="RULE")
    coverage.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="FILE",
        help="what attacks found (python -m vmtest.attack; default: results.json beside the rules)",
    )
    coverage.add_argument("--kernel", default="", metavar="X.Y", help="only what was proved on this kernel")
    add_output_argument(coverage, "text", "json", "navigator")
    add_color_argument(coverage)


def _add_period(parser: argparse.ArgumentParser) -> None:
    for name, bound in (("--since", "nothing older"), ("--until", "nothing younger")):
        parser.add_argument(name, type=parse_when, metavar=METAVAR, help=f"{bound}; {WHEN_HELP}")
