# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.policy.parse import parse_policies
from vmtest.policyguest import Case, cases


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_policies_of_a_case_are_understood_and_differ(case: Case) -> None:
    read = [parse_policies(text, "bench") for text in case.policies]
    assert not any(problems for _, problems in read)
    assert len({policies[0].key for policies, _ in read}) == len(case.policies)


def test_what_the_load_opens_is_matched_by_one_case_alone() -> None:
    assert [
        case.name for case in cases() if any('["/run/bench/tiny"]' in text for text in case.policies)
    ] == ["1 policy that matches"]
