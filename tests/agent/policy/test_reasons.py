# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from agent.policy.reasons import grouped, reason_of, shared_reasons

NO = "cannot be hooked here: no fentry: refused; no kprobe: built without"
LSM = "LSM programs do not work here: bpf is not in lsm="


def test_a_reason_is_what_holds_of_other_hooks_as_well() -> None:
    assert reason_of(f"dir/a.yaml:16: security_file_open {NO}") == NO
    assert reason_of(f"a.yaml:3: file_open: {LSM}") == LSM
    assert reason_of("a.yaml:3: this kernel has no function nope") == ""


def test_a_reason_of_one_policy_is_not_shared() -> None:
    assert shared_reasons([f"a.yaml:1: f {NO}\na.yaml:2: g {NO}", f"b.yaml:1: h: {LSM}"]) == []
    assert shared_reasons([f"a.yaml:1: f {NO}", f"b.yaml:1: h {NO}"]) == [NO]


def test_policies_that_share_a_reason_are_told_together_and_the_rest_by_itself() -> None:
    failures = [
        ("a", f"a.yaml:1: f {NO}\na.yaml:2: g {NO}"),
        ("b", f"b.yaml:1: wrong\nb.yaml:2: g {NO}"),
        ("c", f"c.yaml:1: file_open: {LSM}"),
        ("d", ""),
    ]
    assert grouped(failures) == [
        f"3 hooks of 2 policies: {NO} (a, b)",
        "b: b.yaml:1: wrong",
        f"c: c.yaml:1: file_open: {LSM}",
        "d: ",
    ]
