# SPDX-License-Identifier: Apache-2.0
"""Arguments that are scripts."""

import pytest

from agent.enrich.redact.scripts import scripts_among


@pytest.mark.parametrize(
    ("argv", "indices"),
    [
        (["sh", "-c", "a b"], {2}),
        (["bash", "-lc", "a b", "c d"], {2}),
        (["python3", "-c", "a b"], {2}),
        (["perl", "-e", "a b"], {2}),
        (["/usr/bin/node18", "-e", "a b"], {2}),
        (["sudo", "php8.2", "-r", "a b"], {3}),
        (["ssh", "h", "a b"], {2}),
        (["watch", "-n1", "a b"], {2}),
        (["su", "me", "--command", "a b"], {3}),
        (["sh", "-c", "a"], set()),
        (["docker", "run", "-e", "A=a b"], set()),
        (["a b"], set()),
        ([], set()),
    ],
)
def test_a_script_is_known_by_what_stands_before_it(argv: list[str], indices: set[int]) -> None:
    assert scripts_among(argv) == indices
