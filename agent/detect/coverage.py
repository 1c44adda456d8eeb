# SPDX-License-Identifier: Apache-2.0
"""ATT&CK technique × rule × hook × proved by an attack on this kernel. Pure.

Results of attacks are what `python -m vmtest.attack` writes (docs/attacks.md): a file per run, with kernel,
profile, and for every variant which rules found it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agent.detect.rules import Rule
from agent.errors import UsageError

NAVIGATOR = {"attack": "17", "navigator": "5.1.0", "layer": "4.5"}
"""Versions in a layer of ATT&CK Navigator (its repository, layers/LAYERFORMATv4_5.md)."""
PROVED, FAILED, RULED = 3, 2, 1
"""Scores of a layer: an attack was found; attacks were played and none of them was; there is a rule."""


class Result(NamedTuple):
    """One variant of one attack on one kernel."""

    attack: str
    variant: str
    techniques: tuple[str, ...]
    found: bool
    tree: bool
    rules: tuple[str, ...]
    """Ids of those that found it."""
    kernel: str
    profile: str


class Covered(NamedTuple):
    """One technique and one rule."""

    technique: str
    """`T1059.004`."""
    rule: str
    """Id; empty for a technique that attacks try and no rule has."""
    title: str
    level: str
    hooks: tuple[str, ...]
    """What the rule asks: `process_creation`, or names of policies."""
    is_evaluable: bool
    why_not: str
    proved: tuple[str, ...]
    """Attacks of this technique that the rule found."""
    tried: tuple[str, ...]
    """Attacks of this technique that were played."""


class Needs(NamedTuple):
    """What a rule asks of the machine."""

    hooks: tuple[str, ...]
    is_evaluable: bool = True
    why_not: str = ""


def read_results(path: Path, kernel: str = "") -> list[Result]:
    """Variants of one run; of another kernel than the given one (`6.12`) none. Raises UsageError."""
    try:
        content = json.loads(path.read_text())
        told = str(content.get("kernel", ""))
        results = [_result(one, told, str(content.get("profile", ""))) for one in content["attacks"]]
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "`make attack-vm` writes such a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is no UTF-8", "see docs/attacks.md") from None
    except ValueError as error:
        raise UsageError(f"{path}: no JSON: {error}", "see docs/attacks.md") from None
    except (KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path}: no results of attacks: `attacks` has for each that was played `attack`, `techniques`,"
            " `found`",
            "see docs/attacks.md",
        ) from None
    return results if is_kernel(told, kernel) else []


def is_kernel(told: str, wanted: str) -> bool:
    """Whether `6.12.5-x` is `6.12`; nothing wanted: any."""
    return not wanted or told == wanted or told.startswith((f"{wanted}.", f"{wanted}-"))


def covered(rules: Iterable[Rule], needs: Mapping[str, Needs], results: Sequence[Result]) -> list[Covered]:
    """Every technique of every rule, and techniques of attacks that no rule has; by technique and title."""
    found = [
        _covered(rule, technique, needs.get(rule.id, Needs(())), results)
        for rule in rules
        for technique in dict.fromkeys(rule.techniques)
    ]
    named = {one.technique for one in found}
    for technique in sorted({one for result in results for one in result.techniques} - named):
        tried = tuple(sorted({one.attack for one in results if technique in one.techniques}))
        found.append(Covered(technique, "", "(no rule)", "", (), False, "no rule has it", (), tried))
    return sorted(found, key=lambda one: (one.technique, one.title))


def layer(found: Sequence[Covered], name: str) -> dict[str, Any]:
    """A layer of ATT&CK Navigator."""
    by_technique: dict[str, list[Covered]] = {}
    for one in found:
        by_technique.setdefault(one.technique, []).append(one)
    return {
        "name": name,
        "versions": NAVIGATOR,
        "domain": "enterprise-attack",
        "description": "Rules of Tracehound, and what attacks have proved",
        "filters": {"platforms": ["Linux", "Containers"]},
        "techniques": [_cell(technique, ones) for technique, ones in sorted(by_technique.items())],
        "gradient": {"colors": ["#f2d9a6", "#e08a7a", "#7fbf7f"], "minValue": RULED, "maxValue": PROVED},
        "legendItems": [
            {"label": "a rule, no attack played", "color": "#f2d9a6"},
            {"label": "attacks played, none found", "color": "#e08a7a"},
            {"label": "proved by an attack", "color": "#7fbf7f"},
        ],
    }


def score(ones: Iterable[Covered]) -> int:
    """Of a technique."""
    found = list(ones)
    if any(one.proved for one in found):
        return PROVED
    return FAILED if any(one.tried for one in found) else RULED


def _covered(rule: Rule, technique: str, needs: Needs, results: Sequence[Result]) -> Covered:
    about = [one for one in results if technique in one.techniques]
    proved = {one.attack for one in about if one.found and rule.id in one.rules}
    tried = {one.attack for one in about}
    return Covered(
        technique, rule.id, rule.title, rule.level, needs.hooks, needs.is_evaluable, needs.why_not,
        tuple(sorted(proved)), tuple(sorted(tried)),
    )  # fmt: skip


def _cell(technique: str, ones: Sequence[Covered]) -> dict[str, Any]:
    proved = sorted({attack for one in ones for attack in one.proved})
    titles = ", ".join(one.title for one in ones)
    comment = f"{titles}; proved by {', '.join(proved)}" if proved else titles
    return {"techniqueID": technique, "score": score(ones), "comment": comment, "enabled": True}


def _result(one: Mapping[str, Any], kernel: str, profile: str) -> Result:
    return Result(
        str(one["attack"]), str(one.get("variant", "")), tuple(map(str, one["techniques"])),
        bool(one["found"]), bool(one.get("tree")), tuple(map(str, one.get("rules", ()))), kernel, profile,
    )  # fmt: skip
