# SPDX-License-Identifier: Apache-2.0
"""One segment alone; whole logs are in test_verify.py."""

from pathlib import Path

import pytest

from agent.log.forms import Forms
from agent.log.manifest import Manifest, read_manifest
from agent.log.segments import SegmentName, list_segments
from agent.log.verdict import Link, Verdict

from .conftest import MakeWriter
from .test_upkeep import fill

Checked = tuple[Link, Verdict]


@pytest.fixture
def log(make_writer: MakeWriter, log_dir: Path) -> Path:
    """Three closed segments."""
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 2)
    writer.close("done")
    return log_dir


def checked(log: Path, name: SegmentName, manifest: Manifest | None = None, wanted: bool = True) -> Checked:
    verdict = Verdict()
    forms = Forms(log, manifest or read_manifest(log), verdict, None, lambda _: None)
    following = next((one for one in list_segments(log) if one > name), None)
    return forms.check(name, Link(""), following, {name} if wanted else ()), verdict


def test_a_segment_as_it_was_closed_is_chained(log: Path) -> None:
    name = list_segments(log)[0]
    link, verdict = checked(log, name)
    closed = read_manifest(log).closed[str(name)]
    assert (verdict.faults, verdict.counts) == ([], {"chained": 1})
    assert (link.sha256, link.last_sequence, link.boot_id) == (closed.sha256, closed.last_sequence, "boot-a")


def test_without_the_manifest_the_next_segment_tells(log: Path) -> None:
    name = list_segments(log)[0]
    link, verdict = checked(log, name, Manifest())
    assert verdict.counts == {"chained": 1} and link.sha256 == read_manifest(log).closed[str(name)].sha256


def test_what_is_not_wanted_is_not_read(log: Path) -> None:
    name = list_segments(log)[0]
    data = (log / str(name)).read_bytes()
    (log / str(name)).write_bytes(data[:-9])
    assert checked(log, name, wanted=False)[1].counts == {"skipped": 1}
    assert checked(log, name)[1].counts == {"broken": 1}


def test_a_segment_that_is_nowhere_is_missing(log: Path) -> None:
    name = list_segments(log)[1]
    (log / str(name)).unlink()
    link, verdict = checked(log, name)
    assert verdict.faults[0].problem == f"is gone: records {name.first_sequence} to {link.last_sequence}"
