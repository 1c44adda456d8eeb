# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from agent.detect.exceptions import parse_exceptions
from agent.detect.running import detections_in, engine_of
from agent.detect.samples import Sample
from tests.agent.detect.found import check, rule

SHELL = rule(check("Image", "endswith", "/nc"))
CHAIN = ({"binary": "/bin/bash", "arguments": ["bash"]}, {"binary": "/usr/bin/nc", "arguments": ["nc", "-l"]})
EXCEPTION = """
- {name: x, rules: [r1], owner: alice, reason: y, expires: 2027-01-01, when: {ParentImage: /bin/bash}}
"""


def test_what_records_give_is_what_the_agent_would_have_written() -> None:
    found = list(detections_in(engine_of([SHELL]), Sample("x", CHAIN).records()))
    assert [one["process"]["binary"] for one in found] == ["/usr/bin/nc"]
    assert [one["binary"] for one in found[0]["ancestors"]] == ["/bin/bash"]
    assert found[0]["rule"]["id"] == "r1"


def test_exceptions_hold_over_the_past_as_well() -> None:
    engine = engine_of([SHELL], parse_exceptions(EXCEPTION, Path("x.yaml")))
    assert list(detections_in(engine, Sample("x", CHAIN).records())) == []
