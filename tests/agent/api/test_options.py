# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.api.options import Options


def test_what_is_encoded_is_decoded() -> None:
    options = Options("/log", 10, 2, "tracehound", 1_767_225_600_000, 0.5)
    assert Options.decode(options.encode()) == options


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"log_dir":"/x","surprise":1}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Options.decode(text)
