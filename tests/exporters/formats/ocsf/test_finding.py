# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import orjson

from exporters.formats.ocsf import Ocsf
from tests.exporters.formats.everything import ORIGIN
from tests.exporters.formats.records import RULE, detection, found


def finding(**more: Any) -> Any:
    return orjson.loads(Ocsf()(detection(**more), ORIGIN))


def test_a_finding_names_its_rule_and_the_others_that_matched() -> None:
    info = finding()["finding_info"]
    assert info["analytic"] == {"type_id": 1, "type": "Rule", "name": RULE["title"], "uid": RULE["id"]}
    assert [one["uid"] for one in info["related_analytics"]] == ["r2"]


def test_techniques_and_tactics_stand_in_attacks() -> None:
    technique, tactic = finding()["finding_info"]["attacks"]
    assert technique == {"technique": {"uid": "T1059"}, "sub_technique": {"uid": "T1059.004"}}
    assert tactic == {"tactic": {"uid": "TA0002", "name": "execution"}}


def test_the_event_is_the_evidence() -> None:
    (evidence,) = finding()["evidences"]
    assert evidence["actor"]["process"]["pid"] == 60 and evidence["dst_endpoint"]["ip"] == "203.0.113.7"


def test_a_finding_without_a_process_has_no_evidence() -> None:
    found = finding(event=None)
    assert "evidences" not in found and found["is_alert"] is True


def test_the_ancestors_that_a_detection_brings_along_are_named() -> None:
    [evidence] = orjson.loads(Ocsf()(found(), ORIGIN))["evidences"]
    process = evidence["actor"]["process"]
    names = [one.get("name") for one in process["ancestry"]]
    assert (names, process["parent_process"]["pid"]) == (["bash", "init"], 50)
