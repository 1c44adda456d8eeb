# SPDX-License-Identifier: Apache-2.0
from agent.metrics.family import COUNTER, GAUGE, by, rows, single


def test_a_single_value_has_no_labels() -> None:
    assert single("up", GAUGE, "h", True).samples == (((), 1.0),)


def test_a_mapping_becomes_samples_of_one_label() -> None:
    family = by("events", COUNTER, "h", "type", {"a": 1, "b": 2})
    assert (family.labels, family.samples) == (("type",), ((("a",), 1.0), (("b",), 2.0)))


def test_rows_of_the_same_labels_are_one_sample() -> None:
    samples = [(("a",), 1.0), (("b",), 1.0), (("a",), 2.0)]
    assert rows("x", GAUGE, "h", ("l",), samples).samples == ((("a",), 3.0), (("b",), 1.0))
