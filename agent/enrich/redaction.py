# SPDX-License-Identifier: Apache-2.0
"""Secrets leave the events before anything is written: each becomes `redacted:<keyed hash>`.

Equal secrets have equal hashes on a node, so they can be joined; without the node's key a hash says
nothing. What is taken for a secret stands in `redaction.yaml`; docs/redaction.md tells the limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice

from agent.enrich.redact.commands import CommandOptions
from agent.enrich.redact.forms import known_forms
from agent.enrich.redact.load import load_rules
from agent.enrich.redact.named import NamedValues
from agent.enrich.redact.nodekey import NodeKey, load_key
from agent.enrich.redact.prefilter import prefilter
from agent.enrich.redact.rules import HASH_DIGITS, MARKER, MARKER_PREFIX, Rules, small_letters
from agent.enrich.redact.scripts import scripts_among
from agent.enrich.redact.spans import hidden, markers_in, merged, pieces, replaced
from agent.enrich.redact.values import SCRIPT, Span

__all__ = ["NodeKey", "Redactor", "load_key", "load_rules"]

_DOMAIN = b"th-redaction-1"
"""Keeps these hashes apart from anything else that may be made with the same key."""

_MOST_CHARACTERS = 1 << 20
_MOST_PLACES = 4096
"""So much of a process's arguments, and so many places that may hold a secret, are looked at closely; what
lies beyond is replaced altogether. Nobody's command lines are like this by accident, and whoever makes them
on purpose must not keep the agent busy for a second with each."""

_FEW = 64 * 1024
"""Characters up to which the places are not counted, and what was replaced is looked at again."""

_BORDERS = "\0 \t\n"
"""Between these stands what is searched or replaced as one."""

_ROUNDS = 4
"""What was replaced is looked at again so often at most."""

_VALUE = re.compile(r"[^\s\"'`\\;&|]+")


class Redactor:
    """Replaces secrets by keyed hashes. What holds none is returned as it is: the same object."""

    def __init__(self, rules: Rules, key: bytes) -> None:
        self._key = key
        self._prefilter = prefilter(rules)
        self._suspicious = self._prefilter.search
        self._names = NamedValues(rules)
        self._commands = CommandOptions(rules)
        self._patterns = [(keyword, rule) for rule in rules.patterns for keyword in rule.keywords]

    def redact_arguments(self, argv: Sequence[str]) -> Sequence[str]:
        """The argument vector without secrets; `argv` itself when there are none."""
        joined = "\0".join(argv)
        if self._suspicious(joined.lower()) is None:
            return argv
        return self._redact_suspicious(argv)

    def redact_environment(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """The variables without secrets; `environment` itself when there are none."""
        changed = {
            name: redacted
            for name, value in environment.items()
            if (redacted := self._redact_variable(name, value)) is not value
        }
        return {**environment, **changed} if changed else environment

    def redact_text(self, text: str) -> str:
        """A text that is no argument vector (working directory, path) without secrets."""
        if self._suspicious(text.lower()) is None:
            return text
        script = SCRIPT + text
        redacted = self._redact(script)
        return text if redacted is script else redacted.removeprefix(SCRIPT)

    def _redact_variable(self, name: str, value: str) -> str:
        if self._names.is_secret(name, value):
            return value if MARKER.fullmatch(value) else self.replacement(value)
        return self.redact_text(value)

    def _redact_suspicious(self, argv: Sequence[str]) -> Sequence[str]:
        text = "\0".join(argv)
        if text.count("\0") >= len(argv):  # never from a kernel
            return self._redact_suspicious([argument.replace("\0", "\ufffd") for argument in argv])
        scripts = scripts_among(argv)
        if scripts:
            text = "\0".join([SCRIPT + a if i in scripts else a for i, a in enumerate(argv)])
        redacted = self._redact(text)
        if redacted is text:
            return argv
        parts = redacted.split("\0")
        return [part.removeprefix(SCRIPT) if i in scripts else part for i, part in enumerate(parts)]

    def _redact(self, text: str) -> str:
        """The joined arguments without secrets. One that looked like more than a value can uncover others."""
        for _ in range(_ROUNDS):
            spans = self._secrets(text)
            secrets = [text[start:end] for start, end in spans]
            if secrets:
                text = replaced(text, spans, self.replacement)
            if len(text) > _FEW or all(
                _VALUE.fullmatch(s) and not self._suspicious(s.lower()) for s in secrets
            ):
                break
        return text

    def _secrets(self, text: str) -> list[Span]:
        """Where the secrets stand in the joined arguments, in order and apart from each other."""
        markers = markers_in(text)
        masked = hidden(text, markers)
        scanned = masked[: self._limit(masked)]
        judged = list(self._commands.find(scanned))
        spans = list(merged(found.secret for found in judged if found.secret is not None))
        spans += self._names.find(hidden(scanned, spans), {found.value[0] for found in judged})
        lowered = small_letters(scanned)
        for rule in dict.fromkeys([rule for keyword, rule in self._patterns if keyword in lowered]):
            spans += known_forms(rule, scanned, lowered)
        if len(scanned) < len(text):
            spans.append((len(scanned), len(text)))
        return list(merged(piece for span in spans for piece in pieces(text, span, markers)))

    def _limit(self, text: str) -> int:
        """How much of the text is searched; a word that would be cut in two is left out."""
        if len(text) <= _FEW:
            return len(text)
        places = self._prefilter.finditer(text.lower())
        beyond = next(islice(places, _MOST_PLACES, None), None)
        if beyond is None and len(text) <= _MOST_CHARACTERS:
            return len(text)
        limit = min(beyond.start() if beyond else len(text), _MOST_CHARACTERS)
        return max(text.rfind(border, 0, limit) for border in _BORDERS) + 1

    def replacement(self, secret: str) -> str:
        """What stands in the place of this secret on this node."""
        data = secret.encode("utf-8", "surrogatepass")
        return MARKER_PREFIX + blake2b(data, key=self._key, person=_DOMAIN).hexdigest()[:HASH_DIGITS]
