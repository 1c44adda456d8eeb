# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from agent.detect.conditions import And, Match, Node, Not, Or
from agent.detect.evaluate import holds
from agent.detect.relax import relaxed
from tests.agent.detect.found import check

OWN = check("Image", "endswith", "/sh")
OTHER = check("Ancestors", "endswith", "/nginx")
PARENT = check("ParentImage", "endswith", "/nginx")
NODES: st.SearchStrategy[Node] = st.recursive(
    st.sampled_from(
        [OWN, OTHER, PARENT, check("Ancestors", "null", True), check("ParentImage", "null", True)]
    ),
    lambda part: st.one_of(
        st.builds(lambda a, b: And((a, b)), part, part),
        st.builds(lambda a, b: Or((a, b)), part, part),
        st.builds(Not, part),
    ),
    max_leaves=6,
)


def is_told(name: str, is_enough: bool) -> bool:
    return name == "Image" or (is_enough and name == "ParentImage")


VALUES = st.sampled_from([(), ("/bin/sh",), ("/usr/sbin/nginx",)])


@given(NODES, VALUES, VALUES, VALUES)
def test_where_a_condition_holds_what_is_left_of_it_does(
    node: Node, image: tuple[str, ...], parent: tuple[str, ...], above: tuple[str, ...]
) -> None:
    event = {"Image": image, "ParentImage": parent, "Ancestors": above}
    known = {"Image": image, "ParentImage": (*parent, "/usr/sbin/nginx"), "Ancestors": ()}
    part = relaxed(node, is_told)
    may = part if isinstance(part, bool) else holds(part, known.__getitem__)
    assert may or not holds(node, event.__getitem__)


def test_what_is_told_decides() -> None:
    assert relaxed(And((OWN, OTHER)), is_told) == OWN
    assert relaxed(And((OWN, Not(OTHER))), is_told) == OWN
    assert relaxed(Or((OWN, OTHER)), is_told) is True
    assert relaxed(Not(Or((OWN, OTHER))), is_told) == Not(OWN)


def test_all_that_a_field_may_be_decides_nothing_below_not() -> None:
    assert relaxed(And((OWN, PARENT)), is_told) == And((OWN, PARENT))
    assert relaxed(And((OWN, Not(PARENT))), is_told) == OWN


def test_a_field_that_refers_to_another_one_needs_both() -> None:
    assert isinstance(relaxed(check("Image", "ref", "Image"), is_told), Match)
    assert relaxed(check("Image", "ref", "Ancestors"), is_told) is True
