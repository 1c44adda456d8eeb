# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules check`: what is wrong with rules and exceptions, and what the rules need."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from agent.cli.color import Palette, palette, wants_color
from agent.cli.rule_texts import collected, exceptions_of, problem_json, problem_lines, rules_of
from agent.cli.text import clean
from agent.detect.exceptions import Exceptions, RuleException
from agent.detect.needs import State, Verdict, judge
from agent.detect.routing import is_about_lines
from agent.detect.rules import RuleProblem
from agent.detect.suggestions import Suggestion, suggest

GOOD, BAD = 0, 1
_SHOWN = 5


def run(args: argparse.Namespace) -> int:
    """0 when everything is right, though some rules may not be evaluable; 1 when something is wrong."""
    found = rules_of(args.rules)
    exceptions = exceptions_of(args.exceptions)
    verdicts = judge(found.rules, logs=collected(args))
    problems = (*found.problems, *exceptions.problems)
    if args.suggest_policies and args.format != "json":
        return _print(suggestion_lines(suggest(verdicts)), problems)
    if args.format == "json":
        print(json.dumps(_as_json(verdicts, problems, exceptions, args.suggest_policies), indent=2))
        return _status(problems)
    color = palette(wants_color(args.color))
    lines = [line for problem in problems for line in problem_lines(problem, color)]
    lines += [line for verdict in verdicts for line in verdict_lines(verdict, color)]
    lines += list(_exception_lines(exceptions, [one.rule.id for one in verdicts], color))
    return _print([*lines, _total(verdicts, problems)], problems)


def verdict_lines(verdict: Verdict, color: Palette) -> Iterator[str]:
    """A rule: whether it is evaluated, by which hooks, and which parts of it never hold."""
    title = clean(verdict.rule.title)
    if verdict.state is State.REFUSED:
        place = clean(f"{verdict.rule.path}:{verdict.rule.line}")
        yield f"{color.warn}not evaluable{color.end} {place}: {title}: {clean(verdict.reason)}"
        return
    yield f"{color.good}{verdict.state}{color.end} {title}{_needs(verdict)}{_variables(verdict)}"
    for note in verdict.notes[:_SHOWN]:
        yield f"      {color.dim}never holds: {clean(note)}{color.end}"


def suggestion_lines(found: Suggestion) -> Iterator[str]:
    """Policies to load, as comments before the one that was written: the output is a file for `policy add`,
    too."""
    if found.policies:
        yield "# of the library:"
        yield from (f"#   {name}" for name in found.policies)
    for text in found.uncovered:
        yield f"# no policy can be written for {clean(text)}"
    if found.text:
        yield "# what the library does not give:"
        yield found.text.rstrip()
    elif not found.policies:
        yield "# execs are all that these rules need"


def _print(lines: Iterator[str] | Sequence[str], problems: Sequence[RuleProblem]) -> int:
    for line in lines:
        print(line)
    return _status(problems)


def _status(problems: Sequence[RuleProblem]) -> int:
    return BAD if any(not problem.is_refusal for problem in problems) else GOOD


def _needs(verdict: Verdict) -> str:
    if is_about_lines(verdict.rule.logsource):
        return ": lines of logs"
    if not verdict.needs:
        return ": execs"
    told = []
    for need in verdict.needs:
        hook = need.hook or need.what
        policies = f" (policy {', '.join(need.policies[:_SHOWN])})" if need.policies and need.hook else ""
        told.append(f"{hook}{policies}")
    return f": needs {'; '.join(dict.fromkeys(told))}"


def _variables(verdict: Verdict) -> str:
    names = clean(", ".join(verdict.variables))
    return f"; sees what enrich.environment records of {names}" if names else ""


def _exception_lines(exceptions: Exceptions, rules: Sequence[str], color: Palette) -> Iterator[str]:
    for one in exceptions.expired(time.time_ns()):
        yield f"{color.warn}expired{color.end} {_place(one)}: it has no effect since {one.expires}"
    for one, rule in exceptions.unknown(rules):
        yield f"{color.warn}unknown rule{color.end} {_place(one)}: {clean(rule)} is none of these rules"


def _place(one: RuleException) -> str:
    return clean(f"{one.path}:{one.line}: {one.name}")


def _total(verdicts: Sequence[Verdict], problems: Sequence[RuleProblem]) -> str:
    refused = sum(one.state is State.REFUSED for one in verdicts) + sum(one.is_refusal for one in problems)
    wrong = sum(not one.is_refusal for one in problems)
    good = sum(one.state is not State.REFUSED for one in verdicts)
    return f"{good:,} rules can be evaluated, {refused:,} not; {wrong:,} mistakes"


def _as_json(
    verdicts: Sequence[Verdict], problems: Sequence[RuleProblem], exceptions: Exceptions, suggests: bool
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "ok": _status(problems) == GOOD,
        "problems": [problem_json(problem) for problem in problems],
        "rules": [_verdict_json(verdict) for verdict in verdicts],
        "exceptions": {
            "expired": [_place(one) for one in exceptions.expired(time.time_ns())],
            "unknown": [rule for _, rule in exceptions.unknown(one.rule.id for one in verdicts)],
        },
    }
    return answer | ({"suggestion": suggest(verdicts)._asdict()} if suggests else {})


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.rule.id, "title": verdict.rule.title, "file": str(verdict.rule.path),
        "state": str(verdict.state), "reason": verdict.reason, "hooks": list(verdict.hooks),
        "policies": list(verdict.policies), "variables": list(verdict.variables),
        "notes": list(verdict.notes),
    }  # fmt: skip
