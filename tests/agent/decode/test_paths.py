# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.paths import path_from_leaf_first
from tests.agent.wire import leaf_first

NAMES = st.lists(st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 47} & set(name)), min_size=1)


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"", b"/"), (b"bin\0", b"/bin"), (b"bash\0bin\0usr\0", b"/usr/bin/bash"), (b"a\nb\0", b"/a\nb")],
)
def test_components_are_turned_round(raw: bytes, path: bytes) -> None:
    assert path_from_leaf_first(raw) == path


@given(NAMES)
def test_a_path_of_any_names_comes_back(names: list[bytes]) -> None:
    path = b"/" + b"/".join(names)
    assert path_from_leaf_first(leaf_first(path)) == path


@given(st.binary())
def test_garbage_makes_no_error(raw: bytes) -> None:
    assert isinstance(path_from_leaf_first(raw), bytes)
