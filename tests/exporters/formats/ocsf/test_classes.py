# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import orjson
import pytest

from exporters.formats.classify import deeds
from exporters.formats.ocsf.classes import FILE, activity_head, head
from tests.exporters.formats.checks import _compiled


@pytest.mark.parametrize(("area", "verb"), sorted(deeds()))
def test_activities_have_the_numbers_and_captions_of_the_schema(area: str, verb: str) -> None:
    found = orjson.loads(activity_head(area, verb, "low")[:-1] + b"}")
    published = next(one for one in _compiled()["classes"].values() if one["uid"] == found["class_uid"])
    activity = published["attributes"]["activity_id"]["enum"][str(found["activity_id"])]
    assert activity["caption"] in (found["activity_name"], "Other")
    assert found["class_name"] == published["caption"]
    assert (
        published["attributes"]["type_uid"]["enum"][str(found["type_uid"])]["caption"] == found["type_name"]
    )


def test_outcomes_are_told_beside_the_severity() -> None:
    found = orjson.loads(head(FILE, 14, "Open", "medium", "denied")[:-1] + b"}")
    assert (found["severity_id"], found["action"], found["disposition"]) == (3, "Denied", "Blocked")
