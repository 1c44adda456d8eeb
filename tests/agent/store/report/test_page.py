# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from agent.store.report.page import PLAIN_ROWS, SCRIPTS, _asset, fill, render
from tests.agent.store.report.invented import FACTS, HOSTILE, hostile, incident, large, tiny


class Reader(HTMLParser):
    """The tags of a page with their attributes, and what stands in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.code: dict[str, str] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = dict(attrs).get("type", tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.code[self._inside] = self.code.get(self._inside, "") + data


def csp(page: str) -> str:
    match = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert match
    return match[1]


@pytest.mark.parametrize("kind", ["script", "style"])
def test_the_policy_names_the_pages_own_code_by_hash_and_nothing_else(kind: str) -> None:
    page = render(incident(), FACTS)
    digest = base64.b64encode(hashlib.sha256(Reader(page).code[kind].encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}';" in csp(page)
    assert csp(page).startswith("default-src 'none';") and "unsafe" not in csp(page)


def test_texts_of_others_add_no_element_and_no_attribute() -> None:
    plain, attacked = Reader(render(tiny(), FACTS)), Reader(render(hostile(), FACTS))
    known = {tag for tag, _ in plain.tags}
    assert {tag for tag, _ in attacked.tags} <= known
    assert not [name for _, attributes in attacked.tags for name in attributes if name.startswith("on")]


def test_the_island_gives_hostile_texts_back_as_they_were() -> None:
    island = json.loads(Reader(render(hostile(), FACTS)).code["application/json"])
    assert [row[4] for row in island["processes"]["rows"]] == [
        HOSTILE[0],
        *("/tmp/" + text for text in HOSTILE),
    ]


def test_nothing_refers_to_another_file() -> None:
    tags = Reader(render(incident(), FACTS)).tags
    links = [
        attributes[name] for _, attributes in tags for name in ("src", "href", "action") if name in attributes
    ]
    assert all(link.startswith("#") for link in links)


def test_a_value_that_looks_like_a_hole_is_not_filled() -> None:
    assert fill("{{a}} {{b}}", {"a": "{{b}}", "b": "1"}) == "{{b}} 1"


def test_the_same_answer_gives_the_same_page() -> None:
    assert render(incident(), FACTS) == render(incident(), FACTS)


def test_a_reader_without_script_gets_the_tree_up_to_a_limit() -> None:
    plain = render(large(PLAIN_ROWS + 1), FACTS).partition("<noscript>")[2].partition("</noscript>")[0]
    assert plain.count(" -c unit") == PLAIN_ROWS - 1 and "needs the page's script" in " ".join(plain.split())


def test_the_script_names_no_way_of_making_elements_from_text() -> None:
    code = "".join(_asset(f"{name}.js") for name in SCRIPTS)
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "fetch(",
    ):
        assert word not in code


def palette(name: str) -> dict[str, tuple[float, ...]]:
    found = re.findall(r"--([a-z-]+): #([0-9a-f]{6});", _asset(f"{name}.css"))
    return {key: tuple(int(text[i : i + 2], 16) / 255 for i in (0, 2, 4)) for key, text in found}


def luminance(color: tuple[float, ...]) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


TEXTS = ("text", "quiet", "accent", "bad", "warn", "good", "detection", "exec", "exit", "file", "network")
PAIRS = [(text, back) for text in TEXTS for back in ("panel", "back", "raised")]
PAIRS += [(text, "chosen") for text in ("text", "quiet", "bad", "warn", "accent")]
PAIRS += [
    ("good", "good-back"),
    ("warn", "warn-back"),
    ("bad", "bad-back"),
    ("text", "warn-back"),
    ("text", "mark"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read_on_what_it_stands(theme: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1."""
    colors = palette(theme)
    ratios = {}
    for text, back in PAIRS:
        high, low = sorted((luminance(colors[text]), luminance(colors[back])), reverse=True)
        ratios[text, back] = (high + 0.05) / (low + 0.05)
    assert not {pair: round(ratio, 2) for pair, ratio in ratios.items() if ratio < 4.5}
