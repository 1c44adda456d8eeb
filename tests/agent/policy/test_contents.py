# SPDX-License-Identifier: Apache-2.0
"""The maps of a hook while they are filled."""

from agent.policy.contents import Contents, PolicyRefused, room
from agent.policy.layout import TABLE, index_key
from agent.policy.model import Problem, Where


def test_rows_follow_those_that_are_there() -> None:
    contents = Contents()
    assert [contents.append("ranges", [b"a", b"b"]), contents.append("ranges", [b"c"])] == [0, 2]
    assert contents.maps["ranges"][index_key(2)] == b"c"


def test_maps_have_room_up_to_the_next_power_of_two() -> None:
    assert [room(entries) for entries in (0, 1, 2, 3, 5, 64, 65)] == [1, 1, 2, 4, 8, 64, 128]
    assert Contents().sizes()["automaton_bytes"] == 256


def test_a_filter_has_its_table_at_its_number() -> None:
    contents = Contents()
    contents.table(2, 0b101, start=7, count=9)
    assert TABLE.unpack(contents.filter_tables[2])[:2] == (7, 9)


def test_a_refusal_tells_file_line_and_way_out() -> None:
    refused = PolicyRefused([Problem(Where("p.yaml", 7, "spec"), "too much", "write less")])
    assert (refused.message, refused.hint) == ("p.yaml:7: too much", "write less")
