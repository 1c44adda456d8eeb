# SPDX-License-Identifier: Apache-2.0
from agent.store.records import Problems, Wanted, find_records
from tests.agent.cli.conftest import START_NS, LogMaker


def test_records_come_from_both_forms_in_order(stored: LogMaker) -> None:
    ids = {
        record["process_exec"]["process"]["exec_id"]
        for record in all_of(stored, "exec_id", *everybody(stored))
        if "process_exec" in record
    }
    assert len(ids) == 4


def test_only_the_period_counts(stored: LogMaker) -> None:
    wanted = Wanted("address", {"203.0.113.7"}, START_NS, START_NS + 10**9)
    assert list(find_records(stored.directory, wanted, Problems())) == []
    assert len(all_of(stored, "address", "203.0.113.7")) == 1


def test_records_of_a_type_come_from_both_forms(stored: LogMaker) -> None:
    kinds = [next(iter(record)) for record in all_of(stored, "type", "process_exit")]
    assert kinds and set(kinds) == {"process_exit"}
    assert all_of(stored, "type", "detection") == []


def everybody(log: LogMaker) -> list[str]:
    return list(log.ancestry)


def all_of(log: LogMaker, column: str, *values: str) -> list[dict]:  # type: ignore[type-arg]
    return list(find_records(log.directory, Wanted(column, set(values)), Problems()))
