# SPDX-License-Identifier: Apache-2.0
"""Label selectors, as Kubernetes applies them."""

import pytest

from agent.policy.labels import fits
from agent.policy.model import LabelSelector

LABELS = {"zone": "a", "stage": "test"}


@pytest.mark.parametrize(
    ("expression", "does"),
    [
        (("zone", "In", ("a", "b")), True),
        (("zone", "In", ("b",)), False),
        (("gone", "In", ("a",)), False),
        (("zone", "NotIn", ("a",)), False),
        (("gone", "NotIn", ("a",)), True),
        (("zone", "Exists", ()), True),
        (("gone", "Exists", ()), False),
        (("zone", "DoesNotExist", ()), False),
        (("gone", "DoesNotExist", ()), True),
    ],
)
def test_an_expression_fits_as_in_kubernetes(
    expression: tuple[str, str, tuple[str, ...]], does: bool
) -> None:
    assert fits(LabelSelector((), (expression,)), LABELS) is does


def test_all_requirements_have_to_hold() -> None:
    assert fits(LabelSelector((("zone", "a"),), (("stage", "Exists", ()),)), LABELS)
    assert not fits(LabelSelector((("zone", "b"),), (("stage", "Exists", ()),)), LABELS)


def test_an_empty_selector_fits_everything() -> None:
    assert fits(LabelSelector(), {})
