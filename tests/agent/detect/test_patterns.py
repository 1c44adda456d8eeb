# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.patterns import MAX_PATTERN, Refused, compile_pattern, search


def test_case_counts_unless_the_pattern_says_otherwise() -> None:
    assert search("b", "abc") and not search("B", "abc") and search("(?i)B", "abc")


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", r"(a)\1", "(?<!a)b", "(a{1000}){1000}", "(", "a" * (MAX_PATTERN + 1)]
)
def test_what_cannot_be_searched_in_linear_time_is_refused_without_a_word_on_stderr(
    pattern: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match=r"."):
        compile_pattern(pattern)
    assert capfd.readouterr().err == ""


def test_half_a_character_is_no_error() -> None:
    assert search("b", "a\udc80b")
