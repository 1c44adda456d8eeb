# SPDX-License-Identifier: Apache-2.0
"""Whether attacks are detected: ``python -m vmtest.attack`` (``make attack-vm``).

Boots a guest, runs the agent there with policies of the library and the rules, and plays
vmtest/attacks/. Each variant of each attack must give a detection with one of its techniques whose process
and ancestors are the attack's own. With --suite heldout, heldout2, heldout3 or heldout4 those are played that
somebody wrote who had not read the rules; the last two are summed by kind too: common, variation, evasion.
With --benign an ordinary workload runs instead, which must give no detection of level high or above.

With --without-agent nothing is detected, and it is told which scripts of heldout3 and heldout4 did nothing.

Exit status: 0 all found (or nothing that is high), 1 not so, 125 the VM did not get that far.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vmtest import machine
from vmtest.__main__ import ready
from vmtest.attackjudge import Verdict, attack_of, detections, judge, loud, nanoseconds
from vmtest.attacks import HELD_OUT, KINDS, SUITES
from vmtest.kernels import CACHE, ROOT, VmtestError

RESULTS = CACHE.parent / "attack"
"""What the last run left in last/ (or benign/, tried/): log/, agent.out, played.json, results.json."""
START_S = 900.0
RECORDED = (
    *("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"),
    *("GLIBC_TUNABLES", "GCONV_PATH", "BASH_ENV", "ENV", "PROMPT_COMMAND"),
)
"""Variables that are recorded for the rules that ask for them (docs/rules.md); none are by default."""


def main(arguments: list[str] | None = None) -> int:
    """Boot, play, judge."""
    options = parser().parse_args(arguments)
    try:
        place = options.log or boot(options)
    except VmtestError as error:
        print(f"attack: {error}", file=sys.stderr)
        return 125
    played = json.loads((place / "played.json").read_text())
    if options.without_agent:
        return tell_idle(played)
    records = read_log(place / "log")
    found = detections(records)
    if played and "task" in played[0]:
        return tell_benign(played, found)
    verdicts = judge(played, records, found)
    write_results(place, options, verdicts, records)
    print(*report(verdicts), *idle(played), sep="\n")
    return 0 if all(one.is_right for one in verdicts) else 1


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="python -m vmtest.attack",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument(
        "attacks", nargs="*", metavar="ATTACK", help="file names below vmtest/attacks/; default: all"
    )
    flags.add_argument(
        "--suite",
        choices=(*SUITES, "all"),
        help=f"default: {SUITES[0]}; {' and '.join(HELD_OUT)}: by somebody who had not read the rules",
    )
    flags.add_argument("--kernel", default="6.12", metavar="LABEL")
    flags.add_argument("--profile", default="default", help="which policies of the library run")
    flags.add_argument("--rules", type=Path, default=ROOT / "rules", metavar="DIR")
    flags.add_argument(
        "--benign", type=float, default=0, metavar="S", help="work for so many seconds instead"
    )
    flags.add_argument(
        "--without-agent",
        action="store_true",
        help="only whether the scripts of heldout3 and heldout4 do what they are about; nothing is detected",
    )
    flags.add_argument("--timeout", type=float, default=5400, metavar="S", help="for boot and everything")
    flags.add_argument("--log", type=Path, metavar="DIR", help="judge what an earlier run left, without a VM")
    return flags


def boot(options: argparse.Namespace) -> Path:
    """Runs the guest; what it left lies in the directory that is returned."""
    from agent.policy.profiles import profile_files

    plan = {
        "agent": [] if options.without_agent else agent(options),
        "policies": len(profile_files(options.profile)),
        "start_s": START_S,
        "only": options.attacks,
        "suites": suites(options),
        "benign_s": options.benign,
    }
    place = RESULTS / ("tried" if options.without_agent else "benign" if options.benign else "last")
    with tempfile.TemporaryDirectory(prefix="attack-", dir=plans()) as directory:
        path = Path(directory) / "plan.json"
        path.write_text(json.dumps(plan))
        outcome = machine.run(
            ready(options.kernel),
            [str(ROOT / ".venv/bin/python"), "-m", "vmtest.attackguest", str(path)],
            machine.Options(timeout_s=options.timeout, environment={"PYTHONPATH": str(ROOT)}),
            collect=lambda exchange: keep(exchange, place),
        )
    for line in outcome.complaints:
        print(f"attack: the kernel says: {line}", file=sys.stderr)
    if outcome.status or not (place / "played.json").exists():
        raise VmtestError(f"the guest ended with status {outcome.status}; what it left is in {place}")
    return place


def agent(options: argparse.Namespace) -> list[str]:
    """The agent's command line."""
    return [
        "tracehound",
        "run",
        "--output",
        "none",
        "--log-dir",
        "/run/attack/log",
        "--profile",
        options.profile,
        "--rules",
        str(options.rules),
        "--set",
        f"enrich.environment={','.join(RECORDED)}",
    ]


def suites(options: argparse.Namespace) -> list[str]:
    """Which suites are played: the one that was named, or those of the attacks that were."""
    if options.suite in SUITES:
        return [options.suite]
    return list(SUITES) if options.suite or options.attacks else [SUITES[0]]


def plans() -> Path:
    """The directory of plans, which the guest can read."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    return RESULTS


def keep(exchange: Path, place: Path) -> None:
    """Takes what the guest left, in place of what was there."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in ("log", "agent.out", "played.json"):
        if (exchange / name).exists():
            shutil.move(exchange / name, place / name)


def read_log(directory: Path) -> list[dict[str, Any]]:
    """All records of a log, in order."""
    files = sorted(path for path in directory.glob("*.jsonl") if path.name != "manifest.jsonl")
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def report(verdicts: Sequence[Verdict]) -> list[str]:
    """A row for each variant, then the sums, each suite by itself."""
    lines = [f"{'attack':32} {'variant':14} {'expected':22} {'found':5} {'tree':5} rules"]
    lines += [row(one) for one in verdicts]
    for suite in SUITES:
        of_it = [one for one in verdicts if attack_of(one.attack).suite == suite]
        lines += sums(suite, of_it) + by_kind(suite, of_it) if of_it else []
    return lines


def row(one: Verdict) -> str:
    """What became of a variant."""
    techniques = attack_of(one.attack).techniques
    expected = " ".join(one.techniques or techniques[:2])
    rules = ", ".join(one.rules[:3]) or (f"only: {', '.join(one.others[:3])}" if one.others else "nothing")
    cells = (one.attack, one.variant, expected, word(one.is_found), word(one.is_tree_right))
    return "{:32} {:14} {:22} {:5} {:5} ".format(*cells) + rules


def sums(suite: str, verdicts: Sequence[Verdict]) -> list[str]:
    """How many attacks and variants of a suite were found."""
    right: dict[str, list[bool]] = {}
    for one in verdicts:
        right.setdefault(one.attack, []).append(one.is_right)
    variants = sum(one.is_found for one in verdicts)
    trees = sum(one.is_tree_right for one in verdicts)
    return [
        "",
        f"{suite}: {len(right)} attacks, {sum(map(all, right.values()))} detected in all variants, "
        f"{sum(map(any, right.values()))} in one or more",
        f"{suite}: {len(verdicts)} variants, {variants} with the right technique and program, "
        f"{trees} with the right tree",
    ]


def by_kind(suite: str, verdicts: Sequence[Verdict]) -> list[str]:
    """How many variants of each kind were found, in a suite that tells kinds."""
    lines = []
    for kind in KINDS:
        right = [one.is_right for one in verdicts if attack_of(one.attack).kinds.get(one.variant) == kind]
        if right:
            share = 100 * sum(right) / len(right)
            lines.append(f"{suite}, {kind}: {len(right)} variants, {sum(right)} right ({share:.0f} %)")
    return lines


def idle(played: Sequence[Mapping[str, Any]]) -> list[str]:
    """Variants that check themselves and did not do what they are about."""
    return [
        f"did nothing: {one['attack']} {one['variant']}, exit status {one['status']}"
        for one in played
        if one.get("status") and one["variant"] in attack_of(one["attack"]).kinds
    ]


def tell_idle(played: Sequence[Mapping[str, Any]]) -> int:
    """Without an agent: which scripts did nothing, with the end of what they said."""
    failed = [one for one in played if idle([one])]
    for one in failed:
        print(*idle([one]), one["output"].strip(), sep="\n")
    print(f"{len(played)} variants played, {len(failed)} of those that check themselves did nothing")
    return 1 if failed else 0


def word(holds: bool) -> str:
    """For a cell."""
    return "yes" if holds else "NO"


def tell_benign(played: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> int:
    """What the workload did and which detections it gave, without how the agent was stopped afterwards."""
    end = max((one["ended_ns"] for one in played), default=0)
    found = [one for one in found if nanoseconds(one["event"]["time"]) <= end]
    for one in played:
        print(f"{one['task']:16} {one['times']:4} times, exit statuses {one['statuses']}")
    counts = Counter((one["level"], one["rule"]["title"]) for one in found)
    for (level, title), times in sorted(counts.items()):
        print(f"  {times:5} {level:13} {title}")
    high = loud(found)
    print(f"{len(found)} detections, {len(high)} of level high or above")
    for one in high[:20]:
        process = one["process"]
        print(f"  {one['rule']['title']}: {process.get('binary')} {process.get('arguments', '')}")
    return 1 if high else 0


def write_results(
    place: Path,
    options: argparse.Namespace,
    verdicts: Sequence[Verdict],
    records: Sequence[Mapping[str, Any]],
) -> None:
    """For `rules coverage`: which rules a test on this kernel has proved."""
    kernel = next(
        (r["tracehound"]["start"].get("kernel", "") for r in records if "start" in r.get("tracehound", {})),
        "",
    )
    results = {
        "kernel": kernel,
        "profile": options.profile,
        "attacks": [
            {
                "attack": one.attack,
                "variant": one.variant,
                "techniques": told(one),
                "found": one.is_found,
                "tree": one.is_tree_right,
                "rules": list(one.rule_ids),
            }
            for one in verdicts
        ],
    }
    (place / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def told(one: Verdict) -> list[str]:
    """What the attack is about; a held-out one lists all that would do, so its first and what was named."""
    attack = attack_of(one.attack)
    if attack.suite not in HELD_OUT:
        return list(attack.techniques)
    return list(dict.fromkeys((attack.techniques[0], *one.techniques)))


if __name__ == "__main__":
    sys.exit(main())
