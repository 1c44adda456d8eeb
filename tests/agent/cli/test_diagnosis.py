# SPDX-License-Identifier: Apache-2.0
"""What was found, as lines and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.cli.color import COLORED, PLAIN
from agent.cli.diagnosis import Diagnosis, as_json, as_lines, host_facts
from agent.kernel.features import Features
from agent.kernel.offers import offers
from agent.kernel.probes import Answer
from agent.kernel.trial import Trial, Way
from tests.agent.kernel.test_offers import NO, UNKNOWN, found
from tests.agent.kernel.test_refusals import FEW, ROOT

WAYS = (Way("fork", "fork_btf", "tp_btf"), Way("privileges", "", ""))
RUNS = Trial(True, WAYS, ("privileges: fentry refused (no place)",))
FAILS = Trial(False, WAYS, (), "refused: no\nR1 invalid mem access", "try another kernel")


def diagnosis(features: Features, trial: Trial = RUNS) -> Diagnosis:
    return Diagnosis(features, offers(features), trial)


def text(features: Features, trial: Trial = RUNS, width: int = 0) -> str:
    return "\n".join(as_lines(diagnosis(features, trial), PLAIN, width))


def test_the_first_line_is_the_verdict() -> None:
    assert text(found()).startswith("the base sensor can run here")
    assert text(found(), FAILS).startswith("the base sensor cannot run: refused: no\n  R1 invalid mem access")


def test_a_refusal_brings_its_hint() -> None:
    assert "hint: try another kernel" in text(found(), FAILS)


def test_questions_show_their_way_or_none() -> None:
    shown = text(found())
    assert "  fork        tp_btf   fork_btf" in shown
    assert "  privileges  none" in shown
    assert "  note privileges: fentry refused (no place)" in shown


def test_a_missing_feature_shows_what_it_lacks_and_the_remedy() -> None:
    shown = text(found(bpf_send_signal=NO))
    assert (
        "  no      enforcement: signal                  policies with Sigkill or Signal are refused" in shown
    )
    assert "missing: bpf_send_signal (refused: Operation not permitted)" in shown
    assert "to get it: a kernel from 5.3 on" in shown


def test_what_was_not_tried_is_unknown() -> None:
    features = replace(found(bpf_send_signal=UNKNOWN), tried=False)
    shown = text(features, FAILS)
    assert "  unknown enforcement: signal                  not tried" in shown
    assert "nothing is in its way for root" in shown


def test_a_kernel_that_rules_the_sensor_out_is_not_praised() -> None:
    features = replace(found(ring_buffer=NO), tried=False)
    assert not diagnosis(features, FAILS).kernel_allows
    assert "nothing is in its way" not in text(features, FAILS)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_the_features_fit(width: int) -> None:
    shown = text(found(fentry=NO, bpf_override_return=NO), width=width)
    features = shown.split("\nfeatures\n")[1].split("\n\n")[0]
    assert max(map(len, features.splitlines())) <= max(width, 67)


def test_colours_mark_states_and_change_nothing_else() -> None:
    colored = "\n".join(as_lines(diagnosis(found(fentry=NO)), COLORED))
    for code in COLORED:
        colored = colored.replace(code, "")
    assert colored == text(found(fentry=NO))


def test_text_of_the_kernel_steers_no_terminal() -> None:
    assert "\x1b" not in text(found(fentry=Answer(False, "evil \x1b[2J")))


def test_json_holds_everything() -> None:
    content = json.loads(json.dumps(as_json(diagnosis(found(bpf_send_signal=NO), FAILS))))
    assert content["base_sensor"]["can_run"] is False
    assert content["base_sensor"]["hint"] == "try another kernel"
    assert content["kernel"]["helpers"]["bpf_send_signal"]["there"] is False
    assert content["host"]["capabilities"] == sorted(ROOT.capabilities)
    signal = next(one for one in content["features"] if one["name"] == "enforcement: signal")
    assert signal["missing"] == ["bpf_send_signal (refused: Operation not permitted)"]


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({}, "capabilities", "uid 0: all"),
        ({"capabilities": FEW.capabilities}, "capabilities", "uid 0: bpf, perfmon"),
        ({"capabilities": frozenset()}, "capabilities", "uid 0: none"),
        ({"lockdown": ""}, "lockdown", "unknown (needs root)"),
        ({"security_modules": None}, "security modules", "unknown (needs root)"),
        ({"host_pids": False}, "pid namespace", "another one"),
        ({"jit": 0}, "JIT", "off: programs are interpreted, several times slower"),
        ({"statistics": True}, "BPF statistics", "on: every run is timed, which costs"),
        ({"mounts": {"tracefs": ""}}, "tracefs", "not mounted"),
    ],
)
def test_facts_of_a_host_are_told_in_words(change: dict[str, object], name: str, value: str) -> None:
    features = replace(found(), host=replace(ROOT, **change))  # type: ignore[arg-type]
    assert dict(host_facts(features))[name] == value


@pytest.mark.parametrize(
    ("counts", "host", "value"),
    [
        (False, ROOT, "does not limit BPF"),
        (True, ROOT, "counts for BPF; can be raised as needed"),
        (True, FEW, "counts for BPF and is limited to 65,536 bytes"),
        (None, ROOT, "unknown"),
    ],
)
def test_locked_memory_is_told_where_it_counts(counts: bool | None, host: object, value: str) -> None:
    features = replace(found(), host=host, counts_memlock=counts)  # type: ignore[arg-type]
    assert dict(host_facts(features))["locked memory"] == value
