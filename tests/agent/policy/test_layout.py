# SPDX-License-Identifier: Apache-2.0
"""The layouts are described once, in kprobes/include/policy.h and classes.h: the BTF of objects agrees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.btf import Btf
from agent.kernel.objects import BpfObject
from agent.policy import classes, executables, layout

HEADERS = Path(__file__).parents[3] / "kprobes" / "include"
SIZES = {
    "shape": layout.SHAPE_BYTES,
    "value_shape": layout.VALUE.size,
    "filter_shape": layout.FILTER.size,
    "set": layout.SET.size,
    "filter_table": layout.TABLE.size,
    "path_table": layout.PATH_TABLE_BYTES,
    "tables": layout.TABLES_BYTES,
    "integer_key": layout.INTEGER_KEY.size,
    "range": layout.RANGE.size,
    "mask_bit": layout.MASK_BIT.size,
    "network_key": layout.NETWORK_KEY.size,
    "prefix_key": layout.PREFIX_KEY.size,
    "postfix_key": layout.POSTFIX_KEY.size,
    "selector": layout.SELECTOR.size,
    **{f"string_key_{size}": layout.TEXT_KEYS[size].size for size in layout.TEXT_CLASSES},
}
CLASS_SIZES = {
    "class_rules": classes.RULES_BYTES,
    "class_sets": len(executables.class_sets(0, 0, 0)),
    "class_text_120": executables.TEXT_KEYS[120].size,
    "class_text_504": executables.TEXT_KEYS[504].size,
    "class_prefix": executables.PREFIX_KEY.size,
    "class_postfix": executables.POSTFIX_KEY.size,
    "class_conditions": len(executables.pack_followed(0)),
}
OFFSETS = {
    ("shape", "value"): layout.SHAPE_HEAD.size,
    ("tables", "filter"): layout.TABLES_HEAD_BYTES,
    ("tables", "of_class"): 4 * layout.SET.size,
    ("selector", "later"): 16,
    ("selector", "slot"): 48,
    ("selector", "values"): 64,
    ("selector", "rate_ns"): 72,
}
ENUMS = [
    (layout.Kind, "filter_kind", "FILTER_"),
    (layout.Field, "filter_field", "FIELD_"),
    (layout.PathAsks, "path_asks", "PATH_ASKS_"),
    (layout.HookFlag, "hook_flags", "HOOK_"),
    (layout.ActionFlag, "action_flags", "ACTION_"),
]


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    found = BpfObject("policies.bpf.o")
    yield found.btf()
    found.close()


@pytest.fixture(scope="module")
def class_btf() -> Iterator[Btf]:
    found = BpfObject("classify.bpf.o")
    yield found.btf()
    found.close()


@pytest.mark.parametrize("name", SIZES)
def test_structs_of_hooks_have_the_sizes_that_the_object_tells(btf: Btf, name: str) -> None:
    assert btf.size(name) == SIZES[name]


@pytest.mark.parametrize("name", CLASS_SIZES)
def test_structs_of_classes_have_the_sizes_that_the_object_tells(class_btf: Btf, name: str) -> None:
    assert class_btf.size(name) == CLASS_SIZES[name]


@pytest.mark.parametrize(("struct", "member"), OFFSETS)
def test_members_stand_where_the_object_tells(btf: Btf, struct: str, member: str) -> None:
    places = {each.name: each.offset for each in btf.members(struct)}
    assert places[member] == OFFSETS[struct, member]


@pytest.mark.parametrize(("ours", "name", "prefix"), ENUMS)
def test_numbers_are_those_of_the_object(btf: Btf, ours: type, name: str, prefix: str) -> None:
    for member in ours:  # type: ignore[attr-defined]
        assert btf.enum_value(name, prefix + member.name) == member.value


def test_bounds_are_those_of_the_headers() -> None:
    text = (HEADERS / "policy.h").read_text() + (HEADERS / "classes.h").read_text()
    found = re.findall(r"#define (\w+) (\d\w*)(?:\s|$)", text)
    told = {name: int(value, 0) for name, value in found}
    names = ["SET_WORDS", "HOOK_SELECTORS", "HOOK_VALUES", "HOOK_FILTERS", "RESOLVE_STEPS", "PATH_TABLES"]
    names += ["PATH_BUCKETS", "POSTFIX_BYTES", "TEXT_BYTES", "NO_VALUE"]
    assert {name: told[name] for name in names} == {name: getattr(layout, name) for name in names}
    assert told["FOLLOWED_MOST"] == executables.FOLLOWED_MOST


def test_a_set_is_words_and_back() -> None:
    members = 1 | 1 << 64 | 1 << 255
    assert layout.unpack_set(layout.pack_set(members)) == members
    assert layout.SET.unpack(layout.pack_set(members)) == (1, 1, 0, 1 << 63)


def test_sets_by_bucket_stand_word_by_word() -> None:
    packed = layout.pack_words([1 << 64 if bucket == 3 else 0 for bucket in range(layout.PATH_BUCKETS)])
    assert packed[1].index(1) == 8 * 3
    assert not any(packed[0] + packed[2] + packed[3])
