# SPDX-License-Identifier: Apache-2.0
"""From features of a kernel to features of the product."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.kernel import tiny
from agent.kernel.features import Features
from agent.kernel.offers import FEATURES, Offer, offers
from agent.kernel.probes import HELPERS, Answer
from tests.agent.kernel.test_refusals import ROOT

OTHERS = ("ring buffer", "sched_prepare_exec", "bpf_rdonly_cast", "pinnable kprobe links")
HOST = replace(ROOT, mounts={"bpf": "/sys/fs/bpf", "tracefs": "/sys/kernel/tracing"})


def found(**missing: Answer) -> Features:
    """A kernel that has everything but what is named (`_` for characters that names have)."""
    programs = {name: missing.get(name.replace(".", "_"), Answer(True)) for name in tiny.TYPES}
    helpers = {name: missing.get(name.replace(" ", "_"), Answer(True)) for name in (*HELPERS, *OTHERS)}
    return Features(HOST, Answer(True), True, programs, helpers)


def offer(name: str, features: Features) -> Offer:
    return next(one for one in offers(features) if one.feature.name == name)


NO = Answer(False, "refused: Operation not permitted")
UNKNOWN = Answer(None, "not tried")


def test_a_kernel_with_everything_offers_everything() -> None:
    assert {one.state for one in offers(found())} == {"yes"}


def test_every_need_is_something_that_is_asked() -> None:
    features = found()
    needs = {need for feature in FEATURES for way in feature.ways for need in way.needs}
    assert {need for need in needs if "not asked" in features.answer(need).reason} == set()


@pytest.mark.parametrize(
    ("name", "missing", "state"),
    [
        ("process events", {"tp_btf": NO}, "partly"),
        ("process events", {"tp_btf": NO, "raw_tp": NO}, "no"),
        ("process events", {"ring_buffer": NO}, "no"),
        ("process events", {"tp_btf": UNKNOWN, "raw_tp": UNKNOWN}, "unknown"),
        ("policies on kernel functions", {"fentry": NO}, "partly"),
        ("policies on kernel functions", {"fentry": NO, "kprobe": NO}, "no"),
        ("enforcement: override", {"bpf_override_return": NO}, "partly"),
        ("enforcement: override", {"bpf_override_return": NO, "fmod_ret": NO, "lsm": NO}, "no"),
        ("enforcement: signal", {"bpf_send_signal": NO}, "no"),
        ("privilege changes at exec", {"sched_prepare_exec": NO}, "partly"),
    ],
)
def test_what_is_missing_decides(name: str, missing: dict[str, Answer], state: str) -> None:
    assert offer(name, found(**missing)).state == state


def test_what_the_best_way_lacks_is_named_with_the_reason() -> None:
    missing = offer("policies on kernel functions", found(fentry=NO)).missing
    assert missing == ("fentry (refused: Operation not permitted)",)


def test_the_dearer_way_tells_its_cost() -> None:
    way = offer("policies on kernel functions", found(fentry=NO)).way
    assert way is not None
    assert "16 ns" in way.costs


def test_every_feature_says_what_is_lost_and_how_to_get_it() -> None:
    assert [feature.name for feature in FEATURES if not feature.without or not feature.remedy] == []


def test_lockdown_confidentiality_allows_no_process_events() -> None:
    locked = replace(found(), host=replace(HOST, lockdown="confidentiality"))
    assert offers(locked)[0].state == "no"
    assert offers(locked)[0].missing == ("kernel memory (lockdown is `confidentiality`)",)


def test_without_btf_there_are_no_process_events() -> None:
    assert offers(Features(HOST, Answer(False, "no BTF"), True))[0].state == "no"
