# SPDX-License-Identifier: Apache-2.0
"""What is tried, in which order, and what is ruled out beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.kernel.choices import (
    QUESTIONS,
    REQUIRED,
    Choice,
    Facts,
    candidates,
    needs_preallocation,
    seconds,
    without_first,
)

NEW = Facts(
    exit_has_group_dead=True,
    has_rdonly_cast=True,
    has_prepare_exec=True,
    safe_without_prealloc=True,
    pids_subsystem=8,
    memory_subsystem=4,
    lsm_runs=True,
    counts_memlock=False,
)
OLD = replace(
    NEW, exit_has_group_dead=False, has_rdonly_cast=False, has_prepare_exec=False, safe_without_prealloc=False
)


def programs(facts: Facts, question: str) -> list[str]:
    return [choice.program for choice in candidates(facts)[question]]


def test_a_new_kernel_rules_nothing_out() -> None:
    assert candidates(NEW) == QUESTIONS


def test_an_old_kernel_is_not_asked_for_what_its_types_lack() -> None:
    assert programs(OLD, "exec") == ["exec_btf_read", "exec_raw"]
    assert programs(OLD, "privileges") == ["privileges_fentry", "privileges_lsm", "privileges_kprobe"]


def test_lsm_programs_that_would_stay_silent_are_not_used() -> None:
    assert "privileges_lsm" not in programs(replace(NEW, lsm_runs=False), "privileges")


def test_every_question_has_a_first_choice_everywhere() -> None:
    assert all(ways for ways in candidates(replace(OLD, lsm_runs=False)).values())


def test_the_required_questions_are_questions() -> None:
    assert set(REQUIRED) <= set(QUESTIONS)


def test_a_refused_choice_is_followed_by_the_next_one() -> None:
    left = without_first(QUESTIONS, "fork")
    assert left["fork"] == (Choice("fork_raw", "raw_tp"),)
    assert left["exec"] == QUESTIONS["exec"]


def test_a_question_without_a_choice_left_is_dropped() -> None:
    assert "tasks" not in without_first(QUESTIONS, "tasks")


def test_maps_are_preallocated_where_the_kernel_could_not_allocate() -> None:
    assert needs_preallocation(OLD) and not needs_preallocation(NEW)


@pytest.mark.kernel
def test_the_facts_of_this_kernel_are_found() -> None:
    here = Facts.of_this_kernel()
    assert here.lsm_runs in (True, False)
    assert here.memory_subsystem is not None


def test_programs_are_doubled_where_tasks_are_preempted_inside_them() -> None:
    chosen = {question: ways[0] for question, ways in candidates(NEW).items()}
    assert seconds(chosen, NEW) == {}
    doubled = seconds(chosen, replace(NEW, preempts_tracepoints=True))
    assert doubled == {q: f"{q}_again" for q in ("fork", "exec", "exit", "privileges")}


def test_a_program_without_a_second_has_none() -> None:
    facts = replace(NEW, preempts_tracepoints=True, has_rdonly_cast=False)
    chosen = {question: ways[0] for question, ways in candidates(facts).items()}
    assert "exec" not in seconds(chosen, facts)
