# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from agent.log.remembered import Known, Remembered


def known() -> Known:
    return Known({}, {})


def names_left(remembered: Remembered, names: str) -> str:
    return "".join(name for name in names if remembered.get(name) is not None)


def test_the_one_not_used_for_the_longest_time_goes() -> None:
    remembered = Remembered(3)
    for name in "abc":
        remembered.put(name, known())
    remembered.get("a")
    remembered.put("d", known())
    assert names_left(remembered, "abcd") == "acd"


def test_the_exited_go_before_the_living() -> None:
    remembered = Remembered(3)
    for name in "abc":
        remembered.put(name, known())
    remembered.exit("c")
    remembered.get("c")
    remembered.put("d", known())
    assert names_left(remembered, "abcd") == "abd"


def test_what_has_exited_is_still_known() -> None:
    remembered, process = Remembered(3), known()
    remembered.put("a", process)
    remembered.exit("a")
    remembered.exit("unknown")
    assert remembered.get("a") is process
    remembered.clear()
    assert len(remembered) == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "exit", "get"]), st.sampled_from("abcdefgh"))))
def test_it_never_grows_beyond_its_bound(calls: list[tuple[str, str]]) -> None:
    remembered = Remembered(4)
    for call, name in calls:
        if call == "put":
            remembered.put(name, known())
            assert remembered.get(name) is not None
        else:
            getattr(remembered, call)(name)
        assert len(remembered) <= 4
