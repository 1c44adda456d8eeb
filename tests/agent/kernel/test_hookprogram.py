# SPDX-License-Identifier: Apache-2.0
"""Versions of a hook's program: what changes in place, what needs another, and what a failure leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.errors import KernelRefused
from agent.kernel.hookprogram import Version, load_version, needs
from agent.kernel.sharedmaps import SharedMaps
from agent.kernel.targets import Target
from agent.kernel.template import capture
from tests.agent.kernel.hooking import ALWAYS, FOREVER, content, counting_object, shape

pytestmark = pytest.mark.kernel


@pytest.fixture
def version() -> Iterator[Version]:
    shared = SharedMaps({})
    template = capture(counting_object(), "hook_raw_tp", {})
    loaded = load_version(template, Target(), ALWAYS, shared.descriptors(), preallocate=True)
    template.close()
    shared.close()
    yield loaded
    loaded.close()


def test_it_takes_what_fits_its_shape_and_its_maps(version: Version) -> None:
    assert version.takes(content((0, 5), (5, FOREVER)))
    assert not version.takes(content((0, FOREVER), hook=2))
    assert not version.takes(content((0, FOREVER), integers=100))


def test_a_program_that_goes_more_rounds_takes_what_needs_fewer(version: Version) -> None:
    many = replace(ALWAYS, shape=shape(flags=1 << 16))
    assert not version.takes(many)
    version.shape = many.shape
    assert version.takes(many)
    assert version.takes(ALWAYS)
    assert not version.takes(replace(ALWAYS, shape=shape(flags=1 << 14)))


def test_the_verifier_s_count_is_known_on_every_kernel(version: Version) -> None:
    assert 50 < version.instructions < 1000


def test_maps_become_what_was_compiled(version: Version) -> None:
    after = content((3, 4))
    version.become(after)
    assert version.maps["selectors"].lookup(bytes(4)) == after.maps["selectors"][bytes(4)]


def test_a_change_that_fails_is_taken_back(version: Version) -> None:
    too_much = content((3, 4), integers=500)
    with pytest.raises(KernelRefused):
        version.become(too_much)
    assert version.maps["selectors"].lookup(bytes(4)) == ALWAYS.maps["selectors"][bytes(4)]
    assert version.maps["integers"].keys(16) == []
    assert version.compiled is ALWAYS


def test_a_refused_load_leaves_no_descriptor(version: Version) -> None:
    template = capture(counting_object(), "hook_raw_tp", {})
    before = os.listdir("/proc/self/fd")
    with pytest.raises(KernelRefused, match="invalid mem access"), SharedMapsOpened() as shared:
        refused = content((0, FOREVER), values=99)
        load_version(template, Target(), refused, shared.descriptors(), preallocate=True)
    assert os.listdir("/proc/self/fd") == before
    template.close()


def test_arrays_need_as_much_as_their_highest_key() -> None:
    rows = {(9).to_bytes(4, "little"): b""}
    found = needs(replace(ALWAYS, maps={"ranges": rows}, sizes={"bits": 3}))
    assert (found["ranges"], found["bits"]) == (10, 3)


def test_every_selector_has_its_counts() -> None:
    rows = {(16).to_bytes(4, "little"): b""}
    found = needs(replace(ALWAYS, maps={"selectors": rows}))
    assert found["selectors"] == found["selector_counts"] == 32


class SharedMapsOpened:
    """Shared maps for a block."""

    def __enter__(self) -> SharedMaps:
        self.shared = SharedMaps({})
        return self.shared

    def __exit__(self, *_exc: object) -> None:
        self.shared.close()
