# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.log.filters import Refused
from agent.log.filters.capabilities import capabilities
from agent.log.filters.view import View, view


def holding(**cap: list[str]) -> View:
    seen = view({"process_exec": {"process": {"cap": cap}}})
    assert seen is not None
    return seen


HELD = holding(effective=["CAP_CHOWN", "DAC_OVERRIDE"], permitted=["CAP_CHOWN"])


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ({"effective": {"any": ["CAP_CHOWN", "CAP_BPF"]}}, True),
        ({"effective": {"any": ["CAP_BPF"]}}, False),
        ({"effective": {"all": ["CAP_CHOWN", "DAC_OVERRIDE"]}}, True),
        ({"effective": {"all": ["CAP_CHOWN", "CAP_BPF"]}}, False),
        ({"effective": {"exactly": ["DAC_OVERRIDE", "CAP_CHOWN"]}}, True),
        ({"effective": {"exactly": ["CAP_CHOWN"]}}, False),
        ({"effective": {"none": ["CAP_BPF"]}}, True),
        ({"inheritable": {"none": ["CAP_BPF"]}}, True),
        ({"effective": {"any": ["CAP_CHOWN"]}, "permitted": {"any": ["DAC_OVERRIDE"]}}, False),
    ],
)
def test_sets_are_compared(wanted: dict[str, Any], fits: bool) -> None:
    assert capabilities(wanted)(HELD) is fits


def test_an_event_that_does_not_know_its_capabilities_never_fits() -> None:
    seen = view({"process_exec": {"process": {}}})
    assert seen is not None
    assert not capabilities({"effective": {"none": ["CAP_BPF"]}})(seen)


@pytest.mark.parametrize("wanted", [{}, {"any": ["CAP_BPF"], "none": ["CAP_CHOWN"]}])
def test_exactly_one_comparison_must_be_given(wanted: dict[str, list[str]]) -> None:
    with pytest.raises(Refused, match="permitted: exactly one of any, all, exactly and none"):
        capabilities({"permitted": wanted})
