# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.filters.labels import parse_selector

POD = {"app": "web", "tier": "front", "k8s.io/name": "x-1", "n": "10"}


@pytest.mark.parametrize(
    "selector",
    [
        "app=web", "app==web", "app = web , tier!=back", "app", "!canary", "app in (web, db)", 
        "tier notin (back)", "k8s.io/name=x-1", "absent!=x", "absent notin (x,y)", "n>9", "n < 11", "",
        "app=web,!canary,n>1", "empty notin ()",
    ],
)  # fmt: skip
def test_selectors_that_fit(selector: str) -> None:
    assert parse_selector(selector)(POD)


@pytest.mark.parametrize(
    "selector",
    [
        "app=db", "app!=web", "!app", "canary", "app in (db)", "app notin (web,db)", "absent=x", 
        "absent in (x)", "n>10", "n<10", "app>1", "absent>1", "app=", "app=web,canary",
    ],
)  # fmt: skip
def test_selectors_that_do_not_fit(selector: str) -> None:
    assert not parse_selector(selector)(POD)


@pytest.mark.parametrize(
    "selector", ["=x", "app=web,", "app in web", "app in (", "a b", "app=a/b", "app in (a/b)"]
)
def test_nonsense_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match="label"):
        parse_selector(selector)


def test_an_order_needs_a_number() -> None:
    with pytest.raises(ValueError):
        parse_selector("n>many")
