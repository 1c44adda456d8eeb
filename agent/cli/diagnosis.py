# SPDX-License-Identifier: Apache-2.0
"""What `tracehound doctor` found, as lines for people or as one JSON object."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any, NamedTuple

from agent.cli.color import Palette
from agent.cli.text import clean
from agent.kernel.features import Features
from agent.kernel.offers import Offer
from agent.kernel.probes import NOT_TRIED, Answer
from agent.kernel.trial import Trial

_TONES = {"yes": "good", "partly": "warn", "no": "bad", "unknown": "dim"}
_INDENT = " " * 10
_JIT = {0: "off: programs are interpreted, several times slower", None: "always on, or unknown"}
_STATISTICS = {True: "on: every run is timed, which costs", False: "off", None: "unknown"}


class Diagnosis(NamedTuple):
    """Everything that was found."""

    features: Features
    offers: list[Offer]
    trial: Trial

    @property
    def kernel_allows(self) -> bool:
        """Whether nothing about the kernel is known to be in the sensor's way, whoever asks."""
        return self.offers[0].state != "no"


def as_json(found: Diagnosis) -> dict[str, Any]:
    """For programs. Keys are stable; an answer is `{"there": true, false or null, "reason"}`."""
    features, trial = found.features, found.trial
    host = asdict(features.host)
    host["capabilities"] = sorted(features.host.capabilities)
    return {
        "base_sensor": {
            "can_run": trial.can_run,
            "kernel_allows": found.kernel_allows,
            "reason": trial.reason,
            "hint": trial.hint,
            "questions": [way._asdict() for way in trial.ways],
            "notices": list(trial.notices),
        },
        "features": [_offer_json(offer) for offer in found.offers],
        "kernel": {
            "tried": features.tried,
            "btf": features.btf._asdict(),
            "programs": {name: answer._asdict() for name, answer in features.programs.items()},
            "helpers": {name: answer._asdict() for name, answer in features.helpers.items()},
            "counts_memlock": features.counts_memlock,
        },
        "host": host,
    }


def _offer_json(offer: Offer) -> dict[str, Any]:
    return {
        "name": offer.feature.name,
        "state": offer.state,
        "needs": list(offer.way.needs) if offer.way else [],
        "costs": offer.way.costs if offer.way else "",
        "missing": list(offer.missing),
        "without": offer.feature.without if offer.state != "yes" else "",
        "remedy": offer.feature.remedy if offer.state != "yes" else "",
    }


def as_lines(found: Diagnosis, color: Palette, width: int = 0) -> list[str]:
    """For people. With a width, long lines are folded; without, every fact is one line, for grep."""
    lines = [*_verdict(found, color), "", f"{color.bold}base sensor{color.end}"]
    lines += [_way(way.question, way.kind, way.program, color) for way in found.trial.ways]
    lines += [f"  {color.warn}note{color.end} {clean(notice)}" for notice in found.trial.notices]
    lines += ["", f"{color.bold}features{color.end}"]
    for offer in found.offers:
        lines += _offer_lines(offer, color, width)
    release = f"{found.features.host.release} {found.features.host.machine}"
    lines += ["", f"{color.bold}kernel{color.end} {clean(release)}"]
    answers = {"BTF": found.features.btf, **found.features.programs, **found.features.helpers}
    lines += [_answer_line(name, answer, color) for name, answer in answers.items()]
    lines += ["", f"{color.bold}host{color.end}"]
    for name, text in host_facts(found.features):
        lines += _fold(f"  {name:<18}", clean(text), width)
    return lines


def _verdict(found: Diagnosis, color: Palette) -> list[str]:
    if found.trial.can_run:
        return [f"{color.good}the base sensor can run here{color.end} (tried: opened and closed again)"]
    lines = [f"{color.bad}the base sensor cannot run:{color.end} {_first(found.trial.reason)}"]
    lines += [f"  {clean(line)}" for line in found.trial.reason.splitlines()[1:]]
    lines += [f"hint: {clean(found.trial.hint)}"] if found.trial.hint else []
    if not found.features.tried:
        lines.append("not everything could be tried without these capabilities: what was not is `unknown`")
        if found.kernel_allows:
            lines.append("as far as the kernel's types tell, nothing is in its way for root")
    return lines


def _way(question: str, kind: str, program: str, color: Palette) -> str:
    if not program:
        return f"  {question:<12}{color.warn}none{color.end}"
    return f"  {question:<12}{kind:<9}{color.dim}{program}{color.end}"


def _offer_lines(offer: Offer, color: Palette, width: int) -> list[str]:
    tone = getattr(color, _TONES[offer.state])
    text = offer.way.costs if offer.way else offer.feature.without
    text = NOT_TRIED if offer.state == "unknown" else text
    head = f"  {offer.state:<8}{offer.feature.name:<37}"
    lines = _fold(head, text, width)
    lines[0] = lines[0].replace(offer.state, f"{tone}{offer.state}{color.end}", 1)
    if offer.state in ("partly", "no") and offer.missing:
        lines += _fold(f"{_INDENT}missing: ", clean("; ".join(offer.missing)), width)
        lines += _fold(f"{_INDENT}to get it: ", offer.feature.remedy, width)
    return lines


def _answer_line(name: str, answer: Answer, color: Palette) -> str:
    word = {True: "yes", False: "no", None: "unknown"}[answer.there]
    tone = getattr(color, _TONES[word])
    return (
        f"  {tone}{word}{color.end}{' ' * (8 - len(word))}{name:<26}{clean(_first(answer.reason))}".rstrip()
    )


def host_facts(features: Features) -> list[tuple[str, str]]:
    """Name and value of what is known of the host, in words."""
    host = features.host
    modules = host.security_modules
    return [
        ("lockdown", host.lockdown or "unknown (needs root)"),
        ("security modules", "unknown (needs root)" if modules is None else ", ".join(modules)),
        ("cgroups", host.cgroups),
        ("capabilities", f"uid {host.euid}: {_capabilities(host.capabilities)}"),
        ("pid namespace", {True: "the host's", False: "another one", None: "unknown"}[host.host_pids]),
        ("locked memory", _memlock(features)),
        ("JIT", _JIT.get(host.jit, "on")),
        ("BPF statistics", _STATISTICS[host.statistics]),
        *((kind, place or "not mounted") for kind, place in host.mounts.items()),
    ]


def _capabilities(names: frozenset[str]) -> str:
    if len(names) > 38:
        return "all" if len(names) == 41 else f"{len(names)} of 41"
    return ", ".join(sorted(names)) or "none"


def _memlock(features: Features) -> str:
    limit = features.host.memlock_bytes
    if not features.counts_memlock:
        return "does not limit BPF" if features.counts_memlock is False else "unknown"
    if limit is None or "sys_resource" in features.host.capabilities:
        return "counts for BPF; can be raised as needed"
    return f"counts for BPF and is limited to {limit:,} bytes"


def _first(text: str) -> str:
    return clean(text.splitlines()[0]) if text else ""


def _fold(head: str, text: str, width: int) -> list[str]:
    if not width or len(head) + len(text) <= width:
        return [f"{head}{text}".rstrip()]
    room = max(width - len(head), 20)
    first, *rest = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
    return [f"{head}{first}", *(" " * len(head) + line for line in rest)]
