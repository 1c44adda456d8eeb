# SPDX-License-Identifier: Apache-2.0
"""Values of matchArgs, matchData and matchReturnArgs: whether each fits its operator and its argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.configuration.values import shorten
from agent.policy import bounds, words
from agent.policy.automaton import explain_pattern
from agent.policy.operators import Pattern
from agent.policy.processes import parse_capability
from agent.policy.quantities import parse_integer, parse_network, parse_port, parse_range
from agent.policy.report import Wrong
from agent.policy.typenames import Type

Check = Callable[[str, Type], str]
"""The value as the model has it, or Wrong."""


def check_value(operator: str, text: str, of: Type) -> str:
    """A value for an operator (canonical name) and a type."""
    return CHECKS[operator.removeprefix("Not")](text, of)


def most_values(operator: str) -> int:
    """How many values an operator takes."""
    plain = operator.removeprefix("Not")
    return bounds.RANGES if plain in ("InRange", "Mask", "GT", "LT") else bounds.VALUES


def typed(text: str, of: Type) -> int:
    """An integer as the type holds it: 0xffffffff is -1 for an int32, -1 is 0xffffffff for a uint32."""
    value, width = parse_integer(text), of.high - of.low + 1
    if of.low <= value <= of.high or of.group == "auto":
        return value
    wrapped = value - width if of.low < 0 else value + width
    is_pattern = of.high < value < width if of.low < 0 else -width // 2 <= value < 0
    if not is_pattern or of.name in ("capability", "bpf_cmd", "syscall64"):
        raise Wrong(f"{shorten(text)} is out of range for {of.name}", f"allowed are {of.low} to {of.high}")
    return wrapped


def _equal(text: str, of: Type) -> str:
    if of.name == "capability":
        return parse_capability(text)
    if of.group in ("integer", "capabilities"):
        typed(text, of)
        return text
    return _text(text, of)


def _text(text: str, of: Type) -> str:
    size = len(text.encode())
    if size > bounds.TEXT_BYTES:
        raise Wrong(f"{shorten(text)} has {size} bytes", f"at most {bounds.TEXT_BYTES} are compared")
    return text


def _substring(text: str, of: Type) -> str:
    size = len(text.encode())
    if size > bounds.PATTERN_BYTES:
        raise Wrong(f"{shorten(text)} has {size} bytes", f"at most {bounds.PATTERN_BYTES} are searched for")
    return text


def _regex(text: str, of: Type) -> str:
    _substring(text, of)
    try:
        problem = explain_pattern(Pattern("Regex", text))
    except RecursionError:
        problem = f"{shorten(text)} is nested too deeply"
    if problem:
        raise Wrong(problem, "docs/policies/reference.md tells what a Regex may have")
    return text


def _integer(text: str, of: Type) -> str:
    value = parse_integer(text)
    if of.group != "auto" and not of.low <= value <= of.high:
        raise Wrong(f"{shorten(text)} is out of range for {of.name}", f"allowed are {of.low} to {of.high}")
    return text


def _mask(text: str, of: Type) -> str:
    value, width = parse_integer(text), of.high - of.low + 1
    if not 0 < value < width:
        raise Wrong(f"{shorten(text)} is no mask for {of.name}", f"allowed are 1 to {width - 1:#x}")
    return text


def _range(text: str, of: Type) -> str:
    if ":" not in text:
        typed(text, of)
        return text
    parse_range(text, of.low, of.high)
    return text


def _checked(read: Callable[[str], object]) -> Check:
    def check(text: str, of: Type) -> str:
        read(text)
        return text

    return check


def _protocol(text: str, of: Type) -> str:
    number = words.protocol(text)
    return str(number) if text in words.IPV6_PROTOCOLS else text


CHECKS: Mapping[str, Check] = {
    "Equal": _equal,
    "Prefix": _text,
    "Postfix": _text,
    "SubString": _substring,
    "SubStringIgnCase": _substring,
    "Regex": _regex,
    "GT": _integer,
    "LT": _integer,
    "Mask": _mask,
    "InMap": _range,
    "InRange": _range,
    "SPort": _checked(parse_port),
    "DPort": _checked(parse_port),
    "SAddr": _checked(parse_network),
    "DAddr": _checked(parse_network),
    "Protocol": _protocol,
    "Family": _checked(words.family),
    "State": _checked(words.state),
    "FileType": _checked(words.kind_of_file),
    "CapabilitiesGained": lambda text, of: parse_capability(text),
}
"""By operator without its `Not`; those without values are not here."""
