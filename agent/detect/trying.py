# SPDX-License-Identifier: Apache-2.0
"""Rules against their samples: each positive one has to give a hit of its rule, no negative one may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.detect.exceptions import Exceptions, RuleException
from agent.detect.rules import Rule
from agent.detect.running import Engine, engine_of
from agent.detect.samples import Sample, SampleError, Samples, read_samples

SAMPLES = "samples"
"""Directory beside a rule, with one file per rule's id."""

Make = Callable[[Iterable[Rule], Exceptions | None], Engine]


class Tried(NamedTuple):
    """One sample."""

    rule: Rule
    sample: str
    is_positive: bool
    is_right: bool
    problem: str = ""
    """Why it could not be tried."""


class Untested(NamedTuple):
    """A rule without samples, or with bad ones."""

    rule: Rule
    why: str


def samples_file(rule: Rule) -> Path:
    """Where the samples of a rule stand."""
    return rule.path.parent / SAMPLES / f"{rule.id}.yaml"


def try_rules(rules: Iterable[Rule], make: Make = engine_of) -> Iterator[Tried | Untested]:
    """Every sample of every rule."""
    for rule in rules:
        try:
            samples = read_samples(samples_file(rule))
        except FileNotFoundError:
            yield Untested(rule, f"no samples: {samples_file(rule)} is missing")
            continue
        except (SampleError, OSError) as error:
            yield Untested(rule, str(error))
            continue
        if not samples.positive or not samples.negative:
            yield Untested(
                rule, f"{samples_file(rule)}: positive and negative samples are needed, one at least"
            )
        yield from try_rule(rule, samples, make)


def try_rule(rule: Rule, samples: Samples, make: Make = engine_of) -> Iterator[Tried]:
    """The samples of one rule, each with an engine that knows nothing else."""
    for is_positive, ones in ((True, samples.positive), (False, samples.negative)):
        for sample in ones:
            try:
                found = fires(rule, sample, None, make)
            except (OSError, ValueError, KeyError, TypeError) as error:
                yield Tried(rule, sample.name, is_positive, False, f"{type(error).__name__}: {error}")
            else:
                yield Tried(rule, sample.name, is_positive, found == is_positive)


def fires(rule: Rule, sample: Sample, exceptions: Exceptions | None, make: Make = engine_of) -> bool:
    """Whether a sample gives a hit of a rule. Raises OSError or ValueError for a bad capture."""
    engine = make([rule], exceptions)
    return any(hit.rule.id == rule.id for record in sample.records() for hit in engine.feed(record))


def spares(rule: Rule, samples: Samples, exception: RuleException, make: Make = engine_of) -> bool:
    """Whether all positive samples that are found are found with an exception, too."""
    endless = Exceptions((exception,))
    return all(
        fires(rule, sample, endless, make) for sample in samples.positive if fires(rule, sample, None, make)
    )
