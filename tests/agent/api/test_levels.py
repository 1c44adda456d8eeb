# SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Iterator

import pytest

from agent.api.levels import DEFAULT, LEVELS, level_name, set_level


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_told_as_it_was_set(name: str) -> None:
    set_level(name)
    assert level_name() == name


def test_a_level_that_is_none_of_ours_counts_as_the_default() -> None:
    logging.getLogger().setLevel(3)
    assert level_name() == DEFAULT
