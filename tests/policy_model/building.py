# SPDX-License-Identifier: Apache-2.0
"""From a hook's YAML to what is placed on a hook, with the real parser."""

import json

from agent.policy.compile import KernelFacts, Placed, compile_hook
from agent.policy.parse import parse_policies
from agent.policy.values import HookKey, HookUse, Shown, Source, Value, ValueFlag, ValueType

KEY = HookKey("fentry", "security_file_open")
HOST = {"mnt": 100, "net": 200}
FACTS = KernelFacts(host_namespaces=HOST)
FOREVER = 2**64 - 1
TYPES = {
    "int32": (ValueType.INTEGER, 4, ValueFlag.SIGNED),
    "uint64": (ValueType.INTEGER, 8, ValueFlag(0)),
    "file": (ValueType.FILE, 8, ValueFlag(0)),
    "string": (ValueType.STRING, 8, ValueFlag.USER),
    "sock": (ValueType.SOCK, 8, ValueFlag(0)),
}


def policies_of(hook, name="p"):
    """The policies of a text with this one hook, and what is wrong with it."""
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": "TracingPolicy",
        "metadata": {"name": name},
        "spec": {"kprobes": [{"call": KEY.target, "syscall": False, **hook}]},
    }
    return parse_policies(json.dumps(document), f"{name}.yaml")


def use_of(hook, name="p"):
    """The plan of a hook that this kernel has as it is written; None when the text is refused."""
    policies, problems = policies_of(hook, name)
    if any(problem.is_error for problem in problems):
        return None
    model = policies[0].hooks[0]
    values = tuple(
        Value(Source.ARGUMENT, *(TYPES[each.type][:1]), each.index, *TYPES[each.type][1:])
        for each in model.arguments
    )
    shown = tuple(Shown(at, each.type) for at, each in enumerate(model.arguments))
    return HookUse(KEY, policies[0].key, model, 0, values, shown, KEY.target)


def place(uses):
    """Uses one after the other, each with the bits that come next."""
    placed, bit = [], 0
    for slot, use in enumerate(uses):
        count = max(1, len(use.hook.selectors))
        placed.append(Placed(use, slot, tuple(range(bit, bit + count)), 1, FOREVER))
        bit += count
    return placed


def compile_all(hooks, classes):
    """The hooks of several policies, compiled together."""
    placed = place([use_of(hook, f"p{at}") for at, hook in enumerate(hooks)])
    return compile_hook(1, KEY, placed, classes, FACTS), placed
