# SPDX-License-Identifier: Apache-2.0
"""Whether attacks are detected: ``python -m vmtest.attack`` (``make attack-vm``).

Boots a guest, runs the agent there with policies of the library and the rules, and plays
vmtest/attacks/. Each attack has three variants; each must give a detection with one of its techniques
whose process and ancestors are the attack's own. With --benign an ordinary workload runs instead, which
must give no detection of level high or above.

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
from vmtest.attackjudge import Verdict, detections, judge, loud, nanoseconds, techniques_of
from vmtest.attacks import read_attacks
from vmtest.kernels import CACHE, ROOT, VmtestError

RESULTS = CACHE.parent / "attack"
"""What the last run left: log/, agent.out, played.json, results.json."""
START_S = 900.0


def main(arguments: list[str] | None = None) -> int:
    """Boot, play, judge."""
    options = parser().parse_args(arguments)
    try:
        place = options.log or boot(options)
    except VmtestError as error:
        print(f"attack: {error}", file=sys.stderr)
        return 125
    played = json.loads((place / "played.json").read_text())
    records = read_log(place / "log")
    found = detections(records)
    if played and "task" in played[0]:
        return tell_benign(played, found)
    verdicts = judge(played, records, found)
    write_results(place, options, verdicts, records)
    print(*report(verdicts), sep="\n")
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
    flags.add_argument("--kernel", default="6.12", metavar="LABEL")
    flags.add_argument("--profile", default="default", help="which policies of the library run")
    flags.add_argument("--rules", type=Path, default=ROOT / "rules", metavar="DIR")
    flags.add_argument(
        "--benign", type=float, default=0, metavar="S", help="work for so many seconds instead"
    )
    flags.add_argument("--timeout", type=float, default=5400, metavar="S", help="for boot and everything")
    flags.add_argument("--log", type=Path, metavar="DIR", help="judge what an earlier run left, without a VM")
    return flags


def boot(options: argparse.Namespace) -> Path:
    """Runs the guest; what it left lies in the directory that is returned."""
    from agent.policy.profiles import profile_files

    plan = {
        "agent": [
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
        ],
        "policies": len(profile_files(options.profile)),
        "start_s": START_S,
        "only": options.attacks,
        "benign_s": options.benign,
    }
    place = RESULTS / ("benign" if options.benign else "last")
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
    """A row for each variant, then the sums."""
    names = {attack.name: attack for attack in read_attacks()}
    lines = [f"{'attack':26} {'variant':8} {'expected':22} {'found':5} {'tree':5} rules"]
    for one in verdicts:
        expected = " ".join(names[one.attack].techniques)
        rules = ", ".join(one.rules[:3]) or (
            f"only: {', '.join(one.others[:3])}" if one.others else "nothing"
        )
        cells = (one.attack, one.variant, expected, word(one.is_found), word(one.is_tree_right))
        lines.append("{:26} {:8} {:22} {:5} {:5} ".format(*cells) + rules)
    attacks = {one.attack for one in verdicts}
    whole = [name for name in attacks if all(one.is_right for one in verdicts if one.attack == name)]
    variants = sum(one.is_found for one in verdicts)
    trees = sum(one.is_tree_right for one in verdicts)
    lines.append("")
    lines.append(f"{len(attacks)} attacks, {len(whole)} detected in all variants")
    lines.append(
        f"{len(verdicts)} variants, {variants} with the right technique, {trees} with the right tree"
    )
    return lines


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
                "techniques": list(techniques_of(one.attack)),
                "found": one.is_found,
                "tree": one.is_tree_right,
                "rules": list(one.rule_ids),
            }
            for one in verdicts
        ],
    }
    (place / "results.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
