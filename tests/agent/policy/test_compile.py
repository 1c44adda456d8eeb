# SPDX-License-Identifier: Apache-2.0
"""All policies of a hook become one shape and one set of maps. What they mean: tests/policy_model."""

from __future__ import annotations

import random
import struct
from dataclasses import replace

import pytest

from agent.policy.classes import ClassTable
from agent.policy.compile import CompiledHook, KernelFacts, Placed, PolicyRefused, compile_hook
from agent.policy.layout import SELECTOR, SHAPE_BYTES, SHAPE_HEAD, ActionFlag, HookFlag, index_key, unpack_set
from agent.policy.model import Action, BinaryFilter, Hook, Selector
from agent.policy.values import HookKey, Source, Value, ValueFlag, ValueType
from tests.agent.policy.placing import INT, KEY, LINE, OTHER_PATH, PATH, asks, place, use


def compiled(
    *placed: Placed,
    key: HookKey = KEY,
    classes: ClassTable | None = None,
    facts: KernelFacts = KernelFacts(),  # noqa: B008 - frozen
) -> CompiledHook:
    return compile_hook(3, key, placed, classes or ClassTable(), facts)


def tables(hook: CompiledHook) -> list[int]:
    content = hook.maps["tables"][index_key(0)]
    return [unpack_set(content[32 * at : 32 * at + 32]) for at in range(260)]


def test_the_same_needs_give_the_same_shape_whoever_has_them() -> None:
    first = asks(0, "Equal", "/a"), asks(1, "Mask", "1")
    one = compiled(place(first[0]), place(first[1], first=1))
    other = compiled(place(asks(1, "Mask", "8"), name="q"), place(asks(0, "Equal", "/b", "/c"), first=1))
    assert one.shape == other.shape
    assert len(one.shape) == SHAPE_BYTES


def test_values_of_several_policies_are_one() -> None:
    hook = compiled(place(values=(PATH, INT)), place(values=(OTHER_PATH, INT, PATH), first=1))
    assert SHAPE_HEAD.unpack_from(hook.shape)[3] == 3
    assert hook.value_of[1][1:] == hook.value_of[0][::-1]


def test_a_hook_without_selectors_has_one_that_everything_matches() -> None:
    hook = compiled(place(first=5))
    assert tables(hook)[0] == 1 << 5
    assert list(hook.maps["selectors"]) == [index_key(5)]


def test_later_selectors_of_the_same_policy_do_not_act() -> None:
    hook = compiled(place(asks(1, "Equal", "1"), Selector()), place(Selector(), first=2, slot=1))
    later = [unpack_set(SELECTOR.unpack(row)[2]) for row in hook.maps["selectors"].values()]
    assert later == [0b10, 0, 0]


def test_a_selector_that_asks_for_a_process_waits_for_its_class() -> None:
    classes = ClassTable()
    hook = compiled(place(Selector(binaries=(BinaryFilter("In", ("/bin/sh",)),)), first=4), classes=classes)
    everyone, asked, *_ = found = tables(hook)
    number = asked.bit_length() - 1
    assert (everyone, found[4 + number]) == (0, 1 << 4)
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] & (HookFlag.ASKS_CLASSES | HookFlag.ALL_ASK) == 3


def test_integers_of_the_call_are_judged_first() -> None:
    hook = compiled(place(asks(0, "Equal", "/a")), place(asks(1, "Equal", "7"), first=1))
    filters, early = SHAPE_HEAD.unpack_from(hook.shape)[4:6]
    assert (filters, early) == (2, 1)
    assert struct.unpack_from("<QQ", next(iter(hook.maps["integers"])))[0] == 0


@pytest.mark.parametrize(
    ("has_override", "attach", "flag"), [(True, "kprobe", 4), (False, "kprobe", 0), (False, "lsm", 4)]
)
def test_a_kprobe_names_no_helper_that_the_kernel_has_not(has_override: bool, attach: str, flag: int) -> None:
    denies = place(Selector(actions=(Action("Override", error=-1),)))
    hook = compiled(denies, key=HookKey(attach, KEY.target), facts=KernelFacts(has_override=has_override))
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] & HookFlag.OVERRIDES == flag


@pytest.mark.parametrize(
    ("attach", "guards", "flag"), [("lsm", True, 1 << 15), ("lsm", False, 0), ("kprobe", True, 0)]
)
def test_lsm_programs_keep_the_cpu_where_others_would_take_it(attach: str, guards: bool, flag: int) -> None:
    hook = compiled(place(Selector()), key=HookKey(attach, KEY.target), facts=KernelFacts(guards=guards))
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] & HookFlag.GUARDED == flag


def test_what_a_kretprobe_judges_is_not_early() -> None:
    hook = compiled(place(asks(1, "Equal", "7")), key=HookKey("kretprobe", KEY.target))
    assert SHAPE_HEAD.unpack_from(hook.shape)[5] == 0
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] & HookFlag.JOINS


def test_actions_are_told_to_the_program() -> None:
    hook = compiled(place(Selector(actions=(Action("Override", error=-1), Action("Sigkill")))))
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] == HookFlag.OVERRIDES | HookFlag.SIGNALS


def test_an_enforcer_does_what_was_left_and_posts_nothing() -> None:
    enforcer = replace(use(), part="enforcer", hook=Hook("enforcer", "sys_dup"))
    hook = compiled(Placed(enforcer, 4, (0,), 1, 9))
    assert SELECTOR.unpack(hook.maps["selectors"][index_key(0)])[3:5] == (4, ActionFlag.ENFORCE)
    wanted = HookFlag.ENFORCES | HookFlag.OVERRIDES | HookFlag.SIGNALS
    assert SHAPE_HEAD.unpack_from(hook.shape)[1] == wanted


def test_who_notifies_sends_the_signal_where_that_is_asked_for() -> None:
    selector = Selector(actions=(Action("NotifyEnforcer", error=-1, signal=9),))
    later, now = use(selector), replace(use(selector), signals_at_once=True)
    flags = [
        SELECTOR.unpack(compiled(Placed(each, 4, (0,), 1, 9)).maps["selectors"][index_key(0)])[4]
        for each in (later, now)
    ]
    assert [bool(each & ActionFlag.SIGNAL) for each in flags] == [False, True]


@pytest.mark.parametrize("kind", [ValueType.STRING, ValueType.SOCKADDR, ValueType.SOCKADDR_UN])
def test_texts_and_addresses_in_user_memory_are_kept_for_the_return(kind: ValueType) -> None:
    given = Value(Source.ARGUMENT, kind, 1, flags=ValueFlag.USER)
    made_by_the_call = given._replace(flags=ValueFlag.USER | ValueFlag.AT_RETURN)
    values = [(given, "entry"), (given, "whole"), (made_by_the_call, "entry"), (INT, "entry")]
    parts = [replace(use(values=(value,)), part=part) for value, part in values]
    flags = [SHAPE_HEAD.unpack_from(compiled(Placed(each, 4, (0,), 1, 9)).shape)[1] for each in parts]
    assert [bool(each & HookFlag.KEEPS_TEXTS) for each in flags] == [True, False, False, False]


@pytest.mark.parametrize(("count", "is_many"), [(8, False), (9, True)])
def test_programs_go_as_many_rounds_as_their_selectors_need(count: int, is_many: bool) -> None:
    binaries = [BinaryFilter("In", (f"/bin/{number}",)) for number in range(count)]
    flags = SHAPE_HEAD.unpack_from(compiled(place(*(Selector(binaries=(one,)) for one in binaries))).shape)[1]
    many = HookFlag.MANY_CLASSES | HookFlag.MANY_SELECTORS
    assert flags & many == (many if is_many else 0)


def test_words_grow_with_the_highest_bit() -> None:
    assert [SHAPE_HEAD.unpack_from(compiled(place(first=bit)).shape)[2] for bit in (0, 63, 64, 255)] == [
        1,
        1,
        2,
        4,
    ]


def test_more_selectors_than_bits_are_refused_by_policy_and_line() -> None:
    with pytest.raises(PolicyRefused) as refused:
        compiled(place(name="greedy", first=256))
    assert refused.value.problems[0].where == LINE
    assert "policy greedy: more than 256 selectors" in refused.value.message


def test_a_filter_that_cannot_be_is_refused_by_policy_and_line() -> None:
    with pytest.raises(
        PolicyRefused, match=r"p\.yaml:7: policy p: SPort does not work on a value of type FILE"
    ):
        compiled(place(asks(0, "SPort", "80")))


def test_bits_that_do_not_ascend_are_a_mistake_of_the_caller() -> None:
    placed = Placed(place(Selector(), Selector()).use, 0, (1, 0), 1, 9)
    with pytest.raises(ValueError, match="ascending"):
        compiled(placed)


def test_ten_thousand_values_are_ten_thousand_entries() -> None:
    names = [f"/opt/{random.Random(n).getrandbits(64):x}" for n in range(10_000)]
    hook = compiled(place(asks(0, "Equal", *names)))
    assert len(hook.maps["strings_24"]) == 10_000
    assert hook.sizes["strings_24"] == 16_384
