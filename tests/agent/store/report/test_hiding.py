# SPDX-License-Identifier: Apache-2.0
import json

from agent.store.answers import Timeline, Tree
from agent.store.report.data import page_data
from agent.store.report.hiding import without_arguments
from agent.store.report.text import visible
from tests.agent.store.report.invented import FACTS, completeness, detected, happening, process, started

SECRET = "hunter2"


def told() -> Timeline:
    root = process(7, "/bin/x", 0, f"--password {SECRET}")
    root.children = [process(8, "/bin/y", 1, SECRET)]
    args = [{"string_arg": SECRET}, {"bytes_arg": SECRET}, {"int_arg": 3}]
    own = {"arguments": ["x", SECRET], "environment": {"A": SECRET}, "raw": {"cwd": SECRET}}
    happenings = [
        started(root, 1, **own),
        happening(
            "process_kprobe", root, 1, 2, f"write {SECRET}", function="f", path="/p", event={"args": args}
        ),
        detected(root, 2, 3, "odd"),
    ]
    return Timeline(Tree(root, [process(1, "/init", -9, SECRET)], completeness()), happenings)


def test_no_argument_is_left_anywhere() -> None:
    hidden = without_arguments(told())
    records = [one.record for one in hidden.happenings]
    assert SECRET not in json.dumps([records, {**page_data(hidden, FACTS), "records": []}])


def test_programs_paths_numbers_and_the_shape_of_the_tree_stay() -> None:
    hidden = without_arguments(told())
    assert [(depth, one.binary) for depth, one, _ in hidden.tree.walk()] == [(0, "/bin/x"), (1, "/bin/y")]
    assert [one.summary for one in hidden.happenings] == ["exec /bin/x", "f /p", "odd"]
    assert {"int_arg": 3} in hidden.happenings[1].record["process_kprobe"]["args"]


def test_the_timeline_that_was_given_is_not_changed() -> None:
    of = told()
    without_arguments(of)
    assert SECRET in of.tree.root.arguments and SECRET in visible(json.dumps(of.happenings[0].record))
