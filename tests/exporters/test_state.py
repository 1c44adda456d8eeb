# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from exporters.state import State, read_state, read_states, resume_state, write_state


def test_counters_go_on_through_restarts(tmp_path: Path) -> None:
    write_state(tmp_path, State("x", sent=7, last_error="no", lag_events=3))
    again = resume_state(tmp_path, State("x", type="http"))
    assert (again.sent, again.last_error, again.lag_events, again.type) == (7, "no", 0, "http")


def test_a_file_of_another_version_or_a_damaged_one_is_understood_or_passed(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"name":"x","sent":1,"from_the_future":2}')
    told = read_state(tmp_path)
    assert told is not None and told.sent == 1
    (tmp_path / "state.json").write_text("{")
    assert read_state(tmp_path) is None


def test_all_states_of_a_directory_are_read(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        write_state(tmp_path / name, State(name))
    assert [state.name for state in read_states(tmp_path)] == ["a", "b"]
    assert read_states(tmp_path / "absent") == []
