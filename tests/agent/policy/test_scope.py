# SPDX-License-Identifier: Apache-2.0
"""What selectors refer to."""

from __future__ import annotations

from agent.policy.model import Argument
from agent.policy.scope import type_of


def test_an_argument_has_its_type_or_any() -> None:
    assert type_of(Argument(0, "uint8")).high == 255
    assert type_of(Argument(0, "nonsense")).group == "auto"
