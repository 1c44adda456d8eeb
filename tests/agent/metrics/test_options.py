# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.metrics.options import Options


def test_options_survive_the_way_to_the_child() -> None:
    options = Options("/log", "tracehound", ("pod", "binary"), 7)
    assert Options.decode(options.encode()) == options


def test_what_is_none_is_refused() -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        Options.decode("{}")
