# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporters.formats.classify import known_functions
from exporters.formats.ecs_categories import category_of
from exporters.formats.facts import Facts
from tests.exporters.formats.records import call, own

TYPES = json.loads((Path(__file__).with_name("ecs.json")).read_text())["types"]


@pytest.mark.parametrize("function", sorted(known_functions()))
def test_types_of_every_function_go_with_their_category(function: str) -> None:
    category = category_of(Facts(call(function)))
    assert set(category.types) <= set(TYPES[category.categories[0]])


def test_own_records_have_no_category() -> None:
    assert category_of(Facts(own("start")))[:3] == ("event", (), ())
    assert category_of(Facts(own("heartbeat"))).kind == "state"
