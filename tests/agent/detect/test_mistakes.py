# SPDX-License-Identifier: Apache-2.0
import pytest
from sigma.conditions import SigmaCondition
from sigma.exceptions import SigmaError
from sigma.rule.detection import SigmaDetectionItem, SigmaDetections

from agent.detect.mistakes import hint_of, message_of, message_of_condition


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("a|gt", "x", "the modifier `gt` does not take this", "write a number"),
        ("a|exists", "x", "the modifier `exists` does not take this", "write true or false"),
        ("a|re|cased", "x", "the modifier `cased` does not take this", "expressions look at case"),
        ("a|cidr", "x", "Invalid CIDR", "as in 192.0.2.0/24"),
        ("a|base64", "x*", "wildcards", "see the Sigma specification"),
    ],
)
def test_what_is_wrong_with_a_value_is_told_in_the_words_of_rules(
    key: str, value: str, message: str, hint: str
) -> None:
    with pytest.raises(SigmaError) as caught:
        SigmaDetectionItem.from_mapping(key, value)
    assert message in message_of(caught.value) and hint_of(caught.value, key).startswith(hint)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("a b c", "cannot be read from `b c` on"),
        ("a and", "ends where something has to follow"),
        ("(a", "has more parentheses on one side"),
    ],
)
def test_what_is_wrong_with_a_condition_names_the_place(condition: str, message: str) -> None:
    detections = SigmaDetections.from_dict({"a": {"b": "c"}, "condition": condition})
    with pytest.raises(SigmaError) as caught:
        SigmaCondition(condition, detections).parse(postprocess=False)
    assert message_of_condition(caught.value, condition).startswith(message)
