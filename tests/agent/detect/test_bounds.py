# SPDX-License-Identifier: Apache-2.0
from typing import Any

import orjson

from agent.detect.bounds import MOST_BYTES, STEPS, fitted


def test_what_is_short_enough_stays_as_it_is() -> None:
    content: dict[str, Any] = {"id": "a" * 1000}
    assert fitted(content) is content


def test_long_texts_are_cut_no_further_than_needed() -> None:
    content = {"id": "abc", "ancestors": [{"arguments": "a" * 250_000} for _ in range(45)]}
    found = fitted(content)
    assert (found["id"], found["cut"], len(found["ancestors"])) == ("abc", STEPS[0], 45)
    assert len(orjson.dumps(found)) <= MOST_BYTES and len(content["ancestors"][0]["arguments"]) == 250_000


def test_the_longest_ancestry_of_the_longest_names_fits() -> None:
    above = dict.fromkeys(("binary", "exe", "cwd", "arguments", "user"), "\x01" * 250000)
    found = fitted({"ancestors": [above] * 128, "event": {"process": above, "list": ["\x01"] * 100_000}})
    assert len(orjson.dumps(found)) <= MOST_BYTES
