# SPDX-License-Identifier: Apache-2.0
"""Expressions in generated code say what the sources say that they stand for."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.detect.lineage import Known
from agent.detect.rows import EXPRESSIONS, row_of
from agent.detect.sources import SOURCES, Subject

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 4294967296), st.text(max_size=3), st.just([1]), st.floats()
)
PROCESS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("binary", "arguments", "cwd", "uid", "auid"), ODD)
)
OWN = st.fixed_dictionaries({}, optional={"arguments": st.lists(ODD) | ODD, "exe": ODD, "user": ODD})


@given(PROCESS, OWN, st.none() | st.tuples(PROCESS, OWN))
def test_a_row_is_what_its_sources_say(process: Any, own: Any, parent: Any) -> None:
    known = Known(process, own, Known(*parent, None) if parent else None)
    subject = Subject({"process_exec": {}}, {}, known)
    sources = [*EXPRESSIONS, SOURCES["image_name"], SOURCES["uid"]]
    assert row_of(sources)(subject) == tuple(source(subject) for source in sources)


def test_a_row_of_nothing_is_empty() -> None:
    assert row_of([])(Subject({}, {}, Known({}, {}, None))) == ()
