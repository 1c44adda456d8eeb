# SPDX-License-Identifier: Apache-2.0
"""spec.options: names with values that are text."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.configuration.values import shorten
from agent.policy.model import Options
from agent.policy.quantities import parse_within
from agent.policy.report import Report, Wrong, nearest
from agent.policy.shape import Part

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


def _flag(text: str) -> str:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise Wrong(f"{shorten(text)} is not true or false", 'write "1" or "0"')
    return text.lower()


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise Wrong(f"{shorten(text)} is not known here", nearest(text, words))
        return text

    return check


OPTIONS: Mapping[str, Callable[[str], str]] = {
    "disable-kprobe-multi": _flag,
    "disable-uprobe-multi": _flag,
    "override-method": _one_of("fmod-ret", "override-return"),
    "policy-mode": _one_of("enforce", "monitor"),
    "sleepable-preload-size": lambda text: str(parse_within(text, 0, 1 << 31)),
}
"""By name: how the value is checked."""


def read_options(spec: Part, report: Report) -> Options:
    """The options of a policy. disable-uprobe-multi and sleepable-preload-size change nothing here."""
    found: dict[str, str] = {}
    for part in spec.parts("options"):
        name = part.text("name")
        if part.broken or name in found:
            if name in found:
                report.error(part.at("name"), f"{shorten(name)} is given twice", "remove one")
            continue
        if name not in OPTIONS:
            report.error(part.at("name"), f"{shorten(name)} is no option", nearest(name, OPTIONS))
            continue
        try:
            found[name] = OPTIONS[name](part.text("value"))
        except Wrong as error:
            report.wrong(part.at("value"), error)
    return Options(
        mode=found.get("policy-mode", ""),
        override_method=found.get("override-method", ""),
        disable_kprobe_multi=found.get("disable-kprobe-multi", "") in _TRUE,
    )
