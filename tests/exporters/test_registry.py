# SPDX-License-Identifier: Apache-2.0
import pytest

from exporters.registry import TYPES, module_of


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_has_a_module_with_what_a_runner_asks_of_it(kind: str) -> None:
    module = module_of(kind)
    assert hasattr(module, "OPTIONS") and hasattr(module, "BATCHING")
    assert hasattr(module, "open") or hasattr(module, "open_segments")
