# SPDX-License-Identifier: Apache-2.0
from vmtest.matrix import table

FENTRY = ("fentry ×2", "")


def test_a_refusal_stands_below_the_table_once() -> None:
    no = ("", "this kernel has no function f")
    assert table(
        {"6.1": {"`a.yaml`": no, "`b.yaml`": no}, "6.12": {"`a.yaml`": FENTRY, "`b.yaml`": FENTRY}}
    ) == [
        "| policy | 6.1 | 6.12 |",
        "|---|---|---|",
        "| `a.yaml` | no (1) | fentry ×2 |",
        "| `b.yaml` | no (1) | fentry ×2 |",
        "",
        "1. this kernel has no function f",
    ]


def test_what_only_monitors_says_so() -> None:
    lines = table({"6.1": {"`a.yaml`": ("kprobe", "Override of f is not possible here")}})
    assert lines[2:] == ["| `a.yaml` | kprobe, monitors (1) |", "", "1. Override of f is not possible here"]
