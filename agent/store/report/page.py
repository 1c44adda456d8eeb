# SPDX-License-Identifier: Apache-2.0
"""The page: head in plain HTML, the rest drawn by its script from a data island.

It asks nothing of any network: the Content-Security-Policy in its head forbids everything but the page's own
style and script, which it names by hash (CSP Level 3, "Hash usage for inline scripts").
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources

from agent.store.answers import Process, Timeline
from agent.store.report.completeness import statements
from agent.store.report.data import page_data
from agent.store.report.facts import Facts
from agent.store.report.text import SECOND_NS, island, markup, utc, with_bytes

SCRIPTS = ("text", "list", "tree", "timeline", "canvas", "events", "tables", "details", "print", "main")
"""Parts of the script, in order; they share one scope."""
PLAIN_ROWS = 500
"""Processes in the plain tree for readers without script."""
_HOLE = re.compile(r"\{\{([a-z_]+)\}\}")


def render(timeline: Timeline, facts: Facts) -> str:
    """The whole report. The text is ASCII but for the head's; every string of others in it is data."""
    script, style = _script(), _style()
    holes = {
        "csp": _policy(script, style),
        "style": style,
        "script": script,
        "title": _title(timeline, facts),
        "name": markup(facts.title),
        "subject": _subject(timeline),
        "facts": "".join(_facts(timeline, facts)),
        "statements": "".join(_statements(timeline, facts)),
        "version": markup(facts.version),
        "plain": "\n".join(_plain_tree(timeline)),
        "data": island(page_data(timeline, facts)),
    }
    return fill(_asset("page.html"), holes)


def fill(template: str, holes: Mapping[str, str]) -> str:
    """`template` with its `{{name}}`s replaced, in one pass: what a value holds is not looked at again."""
    return _HOLE.sub(lambda match: holes[match[1]], template)


@cache
def _asset(name: str) -> str:
    return resources.files("agent.store.report").joinpath("assets", name).read_text("utf-8")


@cache
def _script() -> str:
    parts = "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    return f'(function () {{\n"use strict";\n{parts}\n}})();\n'


@cache
def _style() -> str:
    """The dark palette stands twice: chosen by hand, and as the system prefers. Paper is light."""
    dark = _asset("dark.css")
    chosen = f'@media screen {{ :root[data-theme="dark"] {{\n{dark}}} }}\n'
    preferred = (
        "@media screen and (prefers-color-scheme: dark) {\n"
        f':root:not([data-theme="light"]) {{\n{dark}}} }}\n'
    )
    return f":root {{\n{_asset('light.css')}}}\n{chosen}{preferred}{_asset('report.css')}"


def _policy(script: str, style: str) -> str:
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _title(timeline: Timeline, facts: Facts) -> str:
    root = timeline.tree.root
    program = (root.binary.rpartition("/")[2] or root.exec_id) if root.exec_id else root.binary
    name = f"{facts.title} – " if facts.title else ""
    pid = f" ({root.pid})" if root.pid else ""
    return markup(f"{name}{program}{pid} on {facts.node or 'unknown node'} – incident report")


def _texts(process: Process, timeline: Timeline) -> dict[str, str]:
    """Binary and arguments, with their bytes where the exec is among the happenings."""
    texts = {"binary": process.binary, "arguments": process.arguments, "cwd": process.cwd}
    for one in timeline.happenings:
        if one.type == "process_exec" and one.exec_id == process.exec_id:
            return with_bytes(texts, one.record.get("tracehound") or {})
    return texts


def _subject(timeline: Timeline) -> str:
    texts = _texts(timeline.tree.root, timeline)
    return f"<b>{markup(texts['binary'] or '(program not in the log)')}</b> {markup(texts['arguments'])}"


def _facts(timeline: Timeline, facts: Facts) -> Iterator[str]:
    rows = {
        "Host": (facts.node or "unknown") + (f", Linux {facts.kernel}" if facts.kernel else ""),
        **(_root_facts(timeline) if timeline.tree.root.exec_id else {}),
        "Asked for": _asked(facts),
        "Made": utc(facts.made_ns) + (f" by {facts.made_by}" if facts.made_by else ""),
        "With": f"tracehound {facts.version}",
        "Command": facts.question,
    }
    for name, text in rows.items():
        if text:
            yield f"<div><dt>{name}</dt><dd>{markup(text)}</dd></div>"


def _root_facts(timeline: Timeline) -> dict[str, str]:
    root = timeline.tree.root
    pod = f"{root.namespace}/{root.pod}" if root.pod else ""
    user = f"{root.user} ({root.uid})" if root.user else "" if root.uid is None else f"uid {root.uid}"
    restarted = any(moment > root.start_ns for moment in timeline.tree.completeness.reboots)
    return {
        "Root process": f"pid {root.pid or 'unknown'}" + (f", user {user}" if user else ""),
        "exec_id": root.exec_id,
        "Ran": _life(root, restarted),
        "Pod": pod,
        "Container": root.container,
    }


def _life(process: Process, restarted: bool) -> str:
    end = process.end_ns or process.replaced_ns
    how = (process.signal or f"status {process.status}") if process.end_ns else "replaced by another program"
    running = "until the machine was restarted" if restarted else "and was running when the log ends"
    tail = f"to {utc(end)}, {how}" if end else running
    lived = f" after {(end - process.start_ns) / SECOND_NS:,.3f} s" if end and process.start_ns else ""
    return f"from {utc(process.start_ns)} {tail}{lived}"


def _asked(facts: Facts) -> str:
    if facts.since_ns is None and facts.until_ns is None:
        return "all that the log holds"
    start = utc(facts.since_ns) if facts.since_ns is not None else "the beginning of the log"
    end = utc(facts.until_ns) if facts.until_ns is not None else "the end of the log"
    return f"{start} to {end}"


def _statements(timeline: Timeline, facts: Facts) -> Iterator[str]:
    for one in statements(timeline, facts):
        yield f'<li class="{one.tone}">{markup(one.text)}</li>'


def _plain_tree(timeline: Timeline) -> Iterator[str]:
    for number, (depth, process, _) in enumerate(timeline.tree.walk()):
        if number == PLAIN_ROWS:
            yield "… (the rest needs the page's script)"
            return
        words = f"{process.pid or '?'} {process.binary or '(not in the log)'} {process.arguments[:200]}"
        yield "  " * min(depth, 40) + markup(words)
