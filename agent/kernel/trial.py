# SPDX-License-Identifier: Apache-2.0
"""Can the base sensor run here? Found out by opening it with small maps and closing it again."""

from __future__ import annotations

from typing import NamedTuple

from agent.errors import TracehoundError
from agent.kernel.choices import QUESTIONS, Facts, candidates
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings

_SMALL = KernelSettings(ring_bytes=1 << 16, process_entries=1024)


class Way(NamedTuple):
    """How a question of the base sensor is answered here."""

    question: str
    program: str
    """Name of the BPF program, empty when none is possible."""
    kind: str
    """How it is attached."""


class Trial(NamedTuple):
    """What came of it."""

    can_run: bool
    ways: tuple[Way, ...]
    """The chosen ones; where it could not be opened, those that would be tried first."""
    notices: tuple[str, ...]
    """What was refused on the way, and what is missing."""
    reason: str = ""
    """Why it cannot run."""
    hint: str = ""
    """What to do about that."""


def try_sensor() -> Trial:
    """Opens the sensor for a moment. Raises nothing that the reader should see as a crash: a refusal is a
    result."""
    sensor = Sensor(_SMALL)
    try:
        sensor.open()
    except TracehoundError as error:
        return Trial(False, _expected(), tuple(sensor.notices), error.message, error.hint)
    try:
        ways = tuple(
            Way(question, entry.choice.program, entry.choice.kind)
            if (entry := sensor.programs.get(question))
            else Way(question, "", "")
            for question in QUESTIONS
        )
        return Trial(True, ways, tuple(sensor.notices))
    finally:
        sensor.close()


def _expected() -> tuple[Way, ...]:
    """The first choices, by what the kernel's types and security modules allow."""
    try:
        left = candidates(Facts.of_this_kernel())
    except TracehoundError:
        return tuple(Way(question, "", "") for question in QUESTIONS)
    return tuple(Way(question, *left[question][0]) for question in QUESTIONS)
