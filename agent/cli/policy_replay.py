# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy replay`: what policies would have matched and done in the recorded past."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cli.arguments import log_dir_from, settings_from
from agent.cli.asking import period_of
from agent.cli.policy_past import show
from agent.cli.progress import Progress
from agent.errors import LogUnavailable, UsageError
from agent.log.entry import parse
from agent.log.times import parse_time
from agent.policy.model import Policy, Where
from agent.policy.parse import read_policies
from agent.policy.profiles import library_files
from agent.policy.recorded import Written, written_by
from agent.policy.replay import PolicyReplay, people_in


def run(args: argparse.Namespace) -> int:
    """Print the answer and return 0. Raises UsageError for wrong policies."""
    from agent.store.picking import OfFunctions, OfProcesses, Period, pick
    from agent.store.records import Problems

    policies = wanted_policies(args.files)
    replay = PolicyReplay(policies, recorded_by(args, policies))
    log_dir, period, problems = log_dir_from(args), Period(*period_of(args)), Problems()
    bar = Progress("searching", 1)
    wanted = OfFunctions(replay.functions, replay.types)
    try:
        lines = [line for line in pick(log_dir, wanted, problems, period, bar.at) if _is_within(line, period)]
        ids = {one for line in lines for one in people_in(_record(line))}
        for line in pick(log_dir, OfProcesses(ids, {"process_exec", "fork"}), problems):
            replay.learn(_record(line))
    except OSError as error:
        raise LogUnavailable(f"cannot read the log in {log_dir}: {error.strerror}") from error
    finally:
        bar.close()
    for line in lines:
        replay.take(_record(line))
    replay.close()
    if replay.odd:
        problems.append(f"{replay.odd:,} records are not as the agent writes them and were passed over")
    show(replay.hooked, args, list(dict.fromkeys(problems)))
    return 0


def wanted_policies(files: Sequence[str]) -> list[Policy]:
    """The policies of files. Raises UsageError with all that is wrong."""
    found: list[Policy] = []
    wrong: list[str] = []
    for name in files:
        policies, problems = read_policies(Path(name))
        found += policies
        wrong += [f"{_place(p.where)}: {p.text}" for p in problems if p.is_error]
    if wrong or not found:
        raise UsageError(
            "\n".join(wrong) or "no policy in these files", "`tracehound policy check FILE` says more"
        )
    return found


def _place(where: Where) -> str:
    """File and line; the file alone where it is about all of it."""
    return f"{where.source}:{where.line}" if where.line else where.source


def recorded_by(args: argparse.Namespace, policies: Iterable[Policy]) -> Written:
    """What the policies that wrote the log asked for: --recorded-by, the configured ones, the library, and
    at last those that are asked about. Of two with one name the first counts."""
    if args.log_dir is not None:
        return library_written(args.recorded_by, policies)
    settings = settings_from(args).settings.policies
    configured = _readable([*map(Path, settings.files), *_in_dirs(settings.dirs)])
    return library_written(args.recorded_by, policies, configured)


def library_written(
    names: Sequence[str], policies: Iterable[Policy], configured: Iterable[Policy] = ()
) -> Written:
    """The same without settings: policies of the files, others that are known, the library."""
    named = wanted_policies(names) if names else []
    ordered = [*named, *configured, *_readable(library_files()), *policies]
    return written_by({policy.name: policy for policy in reversed(ordered)}.values())


def _in_dirs(names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        yield from sorted(path for path in Path(name).glob("*") if path.suffix in (".yaml", ".yml"))


def _readable(paths: Iterable[Path]) -> list[Policy]:
    """What can be read of files that nobody asked about."""
    return [policy for path in paths for policy in read_policies(path)[0]]


def _is_within(line: bytes, period: tuple[int, int]) -> bool:
    """Live lines are not looked at for their time by who picks them."""
    try:
        return period[0] <= parse_time(_record(line).get("time", "")) <= period[1]
    except (ValueError, TypeError, AttributeError):
        return False


def _record(line: bytes) -> dict[str, Any]:
    """A line of the log; empty for one that is none."""
    parsed = parse(line)
    return parsed[0] if parsed is not None else {}
