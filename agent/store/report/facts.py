# SPDX-License-Identifier: Apache-2.0
"""What a report says about itself: which question it answers, who asked, and when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """The circumstances of a report; none of them changes what the log says."""

    version: str
    """Version of tracehound that made the report."""
    made_ns: int
    """Wall-clock nanoseconds at which it was made."""
    made_by: str = ""
    """Who made it, `user@host`; empty when unknown."""
    node: str = ""
    """Node on which the events were recorded; empty when the log does not tell."""
    kernel: str = ""
    """Its kernel at the time of the incident; empty when the log does not tell."""
    question: str = ""
    """The command that made the report, as a shell reads it."""
    title: str = ""
    """A name for the incident, such as the ticket's number."""
    since_ns: int | None = None
    """Beginning of the period that was asked for, wall clock; None: as far back as the log goes."""
    until_ns: int | None = None
    """Its end; None: up to the newest record."""
    hidden: str = ""
    """What was left out on purpose, a phrase such as `arguments`; empty: nothing."""
