# SPDX-License-Identifier: Apache-2.0
"""Detections on one core, in CPU time: events per second by rules, what rules cost, reading and compiling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.detect.engine import Engine
from agent.detect.rules import Rule, read_rules
from tests.agent.detect.sigma_rules import CORPUS, LIBRARY, call_of, exec_of

pytestmark = pytest.mark.bench
EVENTS = 10_000
PROCESS = "process_creation"
LINES = (
    ("/usr/bin/git", "git -C /home/dev/src/app{n} status --porcelain=v1 --branch"),
    ("/usr/bin/x86_64-linux-gnu-gcc-12", "gcc -O2 -Wall -Iinclude/{n} -c src/file{n}.c -o build/file{n}.o"),
    ("/usr/bin/dash", "/bin/sh -c test -e /run/app/{n}.pid && echo yes"),
    ("/usr/bin/grep", "grep -rn --include=*.py import_{n} /opt/app/lib"),
    ("/usr/bin/python3.11", "python3 -m app.worker --queue jobs{n} --once"),
    ("/usr/bin/cat", "cat /proc/{n}/status"),
    ("/usr/bin/sed", "sed -e s/@VERSION@/1.{n}/ templates/conf.in"),
    ("/usr/bin/curl", "curl -fsS http://127.0.0.1:8080/healthz?n={n}"),
    ("/usr/bin/find", "find /var/lib/app/{n} -type f -mtime +7"),
    ("/usr/lib/git-core/git", "/usr/lib/git-core/git rev-list --objects --stdin --not --all --quiet {n}"),
    ("/usr/bin/bash", "bash -lc source /opt/env && make -j4 target{n}"),
    ("/usr/bin/tar", "tar -xf cache/layer{n}.tar -C /var/tmp/build{n}"),
)
"""What machines execute that build and serve: image, and command line."""
PARENTS = ("/usr/bin/bash", "/usr/bin/make", "/usr/sbin/cron", "/usr/bin/containerd-shim-runc-v2")
FILES = ("/etc/ld.so.cache", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/var/lib/app/{n}/data", "/proc/{n}/stat")


@pytest.fixture(autouse=True)
def cpu_time(benchmark: Any) -> None:
    """Other work on the machine does not count."""
    benchmark._timer = time.process_time


@cache
def rules_of(directory: Path, category: str = "") -> tuple[Rule, ...]:
    if not directory.is_dir():
        pytest.skip(f"{directory} is not there")
    found = read_rules([directory]).rules
    return tuple(rule for rule in found if not category or rule.logsource.category == category)


def execs(each_new: bool) -> Iterator[dict[str, Any]]:
    """Execs of four parents; every command line another one, or a dozen again and again."""
    for number in range(EVENTS):
        image, line = LINES[number % len(LINES)]
        words = line.format(n=number if each_new else 1).split()
        parent = f"p{number % len(PARENTS)}"
        yield exec_of(*words, exec_id=f"c{number}", parent=parent, binary=image, number=number + 9)


def mixed() -> Iterator[dict[str, Any]]:
    """A fifth execs, a fifth exits, the rest opened files."""
    for number, record in enumerate(execs(each_new=True)):
        if number % 5 == 0:
            yield record
        elif number % 5 == 1:
            yield {"process_exit": record["process_exec"], "tracehound": {"sequence": number}}
        else:
            path = FILES[number % len(FILES)].format(n=number)
            yield call_of("security_file_open", {"file_arg": {"path": path}}, number=number)


def fed(benchmark: Any, rules: tuple[Rule, ...], events: Iterator[dict[str, Any]], rounds: int = 5) -> None:
    """Feeds an engine that knows the parents and nothing else, and tells the rate."""
    records = list(events)
    parents = [exec_of(path, exec_id=f"p{at}", parent="", binary=path) for at, path in enumerate(PARENTS)]

    def fresh() -> tuple[tuple[Engine], dict[str, Any]]:
        engine = Engine(rules)
        for parent in parents:
            engine.learn(parent)
        return (engine,), {}

    def run(engine: Engine) -> int:
        return sum(len(engine.feed(record)) for record in records)

    hits = benchmark.pedantic(run, setup=fresh, rounds=rounds, warmup_rounds=1)
    median = benchmark.stats["median"]
    print(
        f"\n{len(rules)} rules: {EVENTS / median:,.0f} events/s, {median / EVENTS * 1e6:.1f} us; {hits} hits"
    )


@pytest.mark.parametrize("directory", [CORPUS, LIBRARY], ids=["sigma", "library"])
def test_execs_by_rules_on_execs(benchmark: Any, directory: Path) -> None:
    fed(benchmark, rules_of(directory, PROCESS), execs(each_new=True))


@pytest.mark.parametrize("directory", [CORPUS, LIBRARY], ids=["sigma", "library"])
def test_execs_by_all_rules(benchmark: Any, directory: Path) -> None:
    fed(benchmark, rules_of(directory), execs(each_new=True))


def test_execs_by_both(benchmark: Any) -> None:
    fed(benchmark, rules_of(CORPUS) + rules_of(LIBRARY), execs(each_new=True))


@pytest.mark.parametrize("directory", [CORPUS, LIBRARY], ids=["sigma", "library"])
def test_mixed_events_by_all_rules(benchmark: Any, directory: Path) -> None:
    fed(benchmark, rules_of(directory), mixed())


def test_the_same_execs_again(benchmark: Any) -> None:
    fed(benchmark, rules_of(CORPUS, PROCESS), execs(each_new=False))


def test_what_an_engine_without_rules_costs(benchmark: Any) -> None:
    fed(benchmark, (), execs(each_new=True))


def test_answers_that_are_remembered(benchmark: Any) -> None:
    """The look-up alone: values of an event that came before, without its way into the lineage."""
    engine = Engine(rules_of(CORPUS, PROCESS))
    matchers = engine._matchers[PROCESS]
    subjects = [engine._begin(record) for record in execs(each_new=False)]

    def run() -> None:
        for subject in subjects:
            for matcher in matchers:
                matcher.match(subject)  # type: ignore[arg-type]

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    print(f"\n{EVENTS / benchmark.stats['median']:,.0f} look-ups/s")


@cache
def made(count: int, directory: Path) -> tuple[Rule, ...]:
    """Rules as one writes them: a tool by its name and options, and a filter."""
    detection = """
  tool:
    Image|endswith: [/tool{n}, /other{n}]
    CommandLine|contains: [' -x{n}', '--exec={n}']
  line: {{CommandLine|contains|all: [word{n}, 'more{n} ']}}
  filter: {{ParentImage|endswith: /parent{n}}}
  condition: (tool or line) and not filter
"""
    head = f"logsource: {{{{product: linux, category: {PROCESS}}}}}\ndetection:"
    text = f"title: rule {{n}}\n{head}{detection}"
    for number in range(count):
        (directory / f"{number}.yml").write_text(text.format(n=number))
    return read_rules([directory]).rules


@pytest.mark.parametrize("count", [100, 1000])
def test_what_more_rules_cost(benchmark: Any, count: int, tmp_path: Path) -> None:
    fed(benchmark, made(count, tmp_path), execs(each_new=True))


def test_reading(benchmark: Any) -> None:
    found = benchmark.pedantic(lambda: read_rules([CORPUS, LIBRARY]), rounds=3)
    print(f"\n{len(found.rules)} rules read in {benchmark.stats['median']:.2f} s")


@pytest.mark.parametrize("count", [0, 1000], ids=["both", "1000"])
def test_compiling(benchmark: Any, count: int, tmp_path: Path) -> None:
    rules = made(count, tmp_path) if count else rules_of(CORPUS) + rules_of(LIBRARY)
    benchmark.pedantic(lambda: Engine(rules), rounds=5)
    print(f"\n{len(rules)} rules compiled in {benchmark.stats['median']:.3f} s")
