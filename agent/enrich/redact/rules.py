# SPDX-License-Identifier: Apache-2.0
"""The rules of redaction as records; docs/redaction.md describes what they mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

MARKER_PREFIX = "redacted:"
"""What stands before the hash in the place of a secret."""

HASH_DIGITS = 16
"""Hexadecimal digits of a hash."""

MARKER = re.compile(f"{MARKER_PREFIX}[0-9a-f]{{{HASH_DIGITS}}}")
"""A secret that was replaced."""

MARKER_LENGTH = len(MARKER_PREFIX) + HASH_DIGITS

_CAPITALS = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}
_FILLERS = {
    "": "Ab0Cd1Ef2Gh3Ij4Kl5Mn6Op7Qr8St9Uv",
    "h": "0123456789abcdef",
    "U": "A2B3C4D5E6F7G2H3",
}
_PLACEHOLDER = re.compile(r"<(?:\\0|([hU]?)(\d{1,3}))>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What every kind of rule has."""

    examples: tuple[str, ...] = ()
    """Arguments joined by NUL, the secrets between « and »."""
    origin: str = ""
    """File and line where the rule stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRule(Rule):
    """A value that follows a name which ends in one of `words` is a secret."""

    words: tuple[str, ...]
    """In small letters; "-" stands for "-", "_", "." or nothing."""
    whole: bool = False
    """Whether the word has to stand by itself (`DB_PASS`, `dbPass`; not `COMPASS`)."""
    unless: re.Pattern[str] | None = None
    """Values that match this as a whole are no secrets; None: all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRule(Rule):
    """Arguments that are secrets for these commands only."""

    commands: tuple[str, ...]
    """Names of the executables, without directories."""
    attached: tuple[str, ...] = ()
    """Options with the value in the same argument (`-pX`)."""
    separate: tuple[str, ...] = ()
    """Options with the value in the next argument, or behind `=` for long ones."""
    value: re.Pattern[str] | None = None
    """What a value has to match as a whole, its group `secret` is replaced; None: any value, all of it."""
    positional: re.Pattern[str] | None = None
    """An argument that matches as a whole holds a secret, as `value` does; None: no such argument."""
    after: str = ""
    """The sub-command behind which the rule holds; empty: from the command on."""
    until: tuple[str, ...] = ()
    """Words at which the command's own options end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternRule(Rule):
    """Secrets that are known by their form."""

    name: str
    pattern: re.Pattern[str]
    """Its group `secret`, or else the whole match, is the secret."""
    begins: tuple[str, ...] = ()
    """Every match begins with one of these, in small letters; empty: it is searched everywhere."""
    keywords: tuple[str, ...] = ()
    """One of these, in small letters, stands in every match; never empty once read from a file."""


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in force."""

    names: tuple[NameRule, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    patterns: tuple[PatternRule, ...] = ()
    ignore_names: frozenset[str] = frozenset()
    """Names that are no secrets' names, spelled exactly so."""
    ignore_values: tuple[re.Pattern[str], ...] = ()
    """Values that match one of these as a whole are no secrets."""


def small_letters(text: str) -> str:
    """The text with ASCII capitals made small: as long as before, which `lower()` does not promise."""
    return text.translate(_CAPITALS)


def expand_example(example: str) -> str:
    """The example with its placeholders filled in, secrets still between « and »."""

    def fill(match: re.Match[str]) -> str:
        if match[2] is None:
            return "\0"
        filler, length = _FILLERS[match[1]], int(match[2])
        return (filler * (length // len(filler) + 1))[:length]

    return _PLACEHOLDER.sub(fill, example)


def without_marks(example: str) -> str:
    """An expanded example as a process would have it."""
    return example.replace("«", "").replace("»", "")
