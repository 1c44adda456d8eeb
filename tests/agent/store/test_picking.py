# SPDX-License-Identifier: Apache-2.0
from agent.log.entry import parse
from agent.store.picking import OfFunctions, OfProcesses, Pick, pick
from agent.store.records import Problems
from tests.agent.cli.conftest import LogMaker

_AROUND = ("tracehound", "sequence", "node_name", "time")


def kinds(log: LogMaker, wanted: Pick) -> list[str]:
    records = [
        (parse(line) or ({"tracehound": {}}, 0))[0] for line in pick(log.directory, wanted, Problems())
    ]
    names = [[*record, *record["tracehound"]] for record in records]
    return [next(name for name in one if name not in _AROUND) for one in names]


def test_processes_are_found_in_both_forms_with_the_segments_records(stored: LogMaker) -> None:
    wanted = OfProcesses(set(stored.ancestry), {"process_exec"})
    assert sorted(set(kinds(stored, wanted))) == ["process_exec", "segment"]
    assert kinds(stored, wanted).count("process_exec") == 4


def test_nobody_else_is_found(stored: LogMaker) -> None:
    assert set(kinds(stored, OfProcesses({"eA=="}, {"process_exec"}))) == {"segment"}


def test_calls_are_found_by_their_function(stored: LogMaker) -> None:
    assert kinds(stored, OfFunctions({"tcp_connect"})) == ["process_kprobe"]
    assert kinds(stored, OfFunctions({"tcp_close"})) == []


def test_a_damaged_file_is_named_and_passed_over(stored: LogMaker) -> None:
    problems = Problems()
    next((stored.directory / "store").glob("*.parquet")).write_bytes(b"x")
    assert len(list(pick(stored.directory, OfFunctions({"tcp_close"}, {"process_exec"}), problems))) == 1
    assert "damaged" in problems[0]


def test_it_says_how_far_it_is(stored: LogMaker) -> None:
    told: list[tuple[int, int]] = []
    list(pick(stored.directory, OfFunctions({"x"}), Problems(), watch=lambda *how: told.append(how)))
    assert len(told) == 2 and told[-1][0] == told[-1][1]
