# SPDX-License-Identifier: Apache-2.0
"""The kernel judges random calls by random policies as the plain model of the semantics does."""

import collections
import contextlib
import json
import os
import random
import re
from dataclasses import replace

import pytest

from agent.errors import TracehoundError
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy import semantics
from agent.policy.contents import PolicyRefused
from agent.policy.engine import Engine
from agent.policy.parse import parse_policies
from agent.settings import KernelSettings
from tests.policy_model import kernel_calls
from tests.policy_model.people import Person, surroundings

pytestmark = [pytest.mark.root, pytest.mark.kernel]
SEEDS = range(*map(int, os.environ.get("POLICY_SEEDS", "0:2").split(":")))
"""More of them, for whoever looks for rare cases: POLICY_SEEDS=0:500."""
POLICIES, SELECTORS, ROUNDS = 3, 4, 6
"""Of one seed: policies, selectors of each on a hook at most, calls of each kind by each process."""
PLACE = r"spec\.kprobes\[(\d+)\]\.selectors\[(\d+)\]"
KINDS = ["plain", "user", "spaces", "user_space", "pid_space", "fewer"]


class World:
    """A sensor, an engine, and processes that make calls. What is begun is ended with `stack`."""

    def __init__(self, place, stack):
        people = [Person("spaces")]  # it was there before the sensor
        stack.callback(lambda: [person.end() for person in people])
        sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
        sensor.open()
        stack.callback(sensor.close)
        sensor.existing_tasks()
        self.engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
        stack.callback(self.engine.close)
        self.engine.policies.add(as_text("asks", [keeper()]))
        people += [*map(Person, KINDS), Person("plain", by_linker=True)]
        for person in people:
            person.become()
        self.people = people
        self.paths = paths_below(place)
        self.names = [
            name for name in [*kernel_calls.SYSTEM_CALLS, *kernel_calls.FUNCTIONS] if self.has(name)
        ]

    def has(self, name):
        """Whether this kernel has the hook."""
        try:
            self.engine.policies.add(as_text("try", [kernel_calls.hook(random.Random(0), name)]))
        except TracehoundError:
            self.engine.policies.delete("try")
            return False
        self.engine.policies.delete("try")
        return True

    def counts(self, keys):
        """(policy, hook, selector) -> how often it matched."""
        return {
            (status.name, hook.path, one.position): one.counts["matched"]
            for status in self.engine.policies_now()
            if status.name in keys
            for hook in judging(status.hooks)
            for one in hook.selectors
            if one.counts.get("matched")
        }


def judging(hooks):
    """Of a call in two parts the second: the first knows no result."""
    ends = {hook.path for hook in hooks if hook.attach in ("fexit", "kretprobe", "sys_exit")}
    return [h for h in hooks if h.path not in ends or h.attach in ("fexit", "kretprobe", "sys_exit")]


def keeper():
    """Asks for what processes were at their exec, so that it is kept of all of them."""
    return {
        **kernel_calls.hook(random.Random(0), "connect"),
        "selectors": [{"matchNamespaceChanges": [{"operator": "In", "values": ["Mnt"]}]}],
    }


def paths_below(place):
    """Path to open -> path that is seen."""
    (place / "a" / "deep.d" / "er").mkdir(parents=True)
    long = place / ("l" * 200) / ("m" * 250)
    long.mkdir(parents=True)
    names = ["x", "x.so", "a/b", "a/deep.d/er/passwd", f"{'l' * 200}/{'m' * 250}/y"]
    for name in names:
        (place / name).write_text("x")
        (place / name).chmod(0o644)
    os.mkfifo(place / "fifo", 0o644)
    os.chmod(place / "fifo", 0o644)
    os.symlink("x.so", place / "link")
    found = {str(place / name): str(place / name) for name in [*names, "fifo", "a", ""]}
    found = {path.rstrip("/"): seen.rstrip("/") for path, seen in found.items()}
    found |= {path: path for path in ("/dev/null", "/proc/version")}
    return found | {str(place / "link"): str(place / "x.so")}


def as_text(name, hooks):
    return json.dumps(
        {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": name},
            "spec": {"kprobes": hooks},
        }
    )


def refused(hooks):
    """(hook, selector) of all that the parser refuses: random filters may contradict each other."""
    problems = parse_policies(as_text("p", hooks), "p.yaml")[1]
    paths = [re.match(PLACE, problem.where.path) for problem in problems if problem.is_error]
    return {(int(path[1]), int(path[2])) for path in paths}


def random_policy(chosen, world, people):
    """Hooks in random order, each with some selectors that the parser takes."""
    names = chosen.sample(world.names, len(world.names))
    hooks = [kernel_calls.hook(chosen, name) for name in names]
    for hook in hooks:
        count = chosen.randint(1, SELECTORS)
        hook["selectors"] = [kernel_calls.selector(chosen, hook, world.paths, people) for _ in range(count)]
    wrong = refused(hooks)
    for at, hook in enumerate(hooks):
        hook["selectors"] = [each for n, each in enumerate(hook["selectors"]) if (at, n) not in wrong]
    return [(name, hook) for name, hook in zip(names, hooks, strict=True) if hook["selectors"]]


def expected(policies, person, name, arguments, result):
    """(policy, hook, selector) of all that match."""
    call = {"arguments": arguments, "result": result, "process": person.told}
    for key, hooks in policies.items():
        for at, (of, hook) in enumerate(hooks):
            found = semantics.judge(hook, call) if of == name else None
            if found:
                yield key, f"spec.kprobes[{at}]", found[0]


def ancestors(person):
    return list(semantics.chain(person.told["parent"]))


def disagreement(world, policies, calls):
    """The first call on which kernel and model do not agree, told so that it can be made again."""
    for person, name, arguments, seen in calls:
        before = world.counts(policies)
        (result,) = person.make([(name, arguments)])
        after = world.counts(policies)
        kernel = {key for key in after if after[key] != before.get(key, 0)}
        model = set(expected(policies, person, name, seen, result))
        if kernel != model:
            concerned = {key: policies[key][int(path[13:-1])] for key, path, _ in kernel ^ model}
            told = {key: as_text(key, [hook]) for key, (_, hook) in concerned.items()}
            who = {**person.told, "parent": [(one["pid"], one["binary"]) for one in ancestors(person)]}
            return f"{person.kind} {who}\n{name}{arguments}\nkernel {kernel}\nmodel {model}\n{told}"
    return ""


def load(world, seed):
    """Random policies that were loaded; their hooks by key. Patterns of several may be too much together."""
    chosen, people = random.Random(seed), surroundings(world.people)
    policies = {f"p{at}": random_policy(chosen, world, people) for at in range(POLICIES)}
    for key, hooks in list(policies.items()):
        try:
            world.engine.policies.add(as_text(key, [hook for _, hook in hooks]))
        except PolicyRefused as error:
            assert "states together" in str(error)
            del policies[key]
    assert policies
    return policies


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = tmp_path_factory.mktemp("paths")
    for each in [place, *place.parents[:2]]:
        os.chmod(each, 0o755)
    with contextlib.ExitStack() as stack:
        yield World(place, stack)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_judges_as_the_model_does(world, seed):
    policies, chosen = load(world, seed), random.Random(seed + 1)
    calls = [
        (person, name, *kernel_calls.call(chosen, name, world.paths))
        for person in world.people
        for name in world.names
        for _ in range(ROUNDS)
    ]
    model = collections.Counter()
    for person in world.people:
        own = [(name, arguments, seen) for who, name, arguments, seen in calls if who is person]
        results = person.make([(name, arguments) for name, arguments, _ in own])
        for (name, _, seen), result in zip(own, results, strict=True):
            model.update(expected(policies, person, name, seen, result))
    try:
        assert world.counts(policies) == model, disagreement(world, policies, calls)
    finally:
        for key in policies:
            world.engine.policies.delete(key)
