# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions of both kinds, made from schema.py: `python -m agent.policy.crd` writes them
to charts/tracehound/files/crds/. A test makes them again and compares.

Kubernetes wants a structural schema: each field has one type ("Extend the Kubernetes API with
CustomResourceDefinitions: Specifying a structural schema")."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agent.policy.actions import FIELDS
from agent.policy.processes import BINARY_OPERATORS
from agent.policy.schema import ACTIONS, ARGUMENT, SPEC
from agent.policy.shape import Anything, Flag, Kind, List, Map, Number, Object, Text, Word
from agent.policy.typenames import ALL_OPERATORS, FOLDED, LATER, SYNONYMS, TYPES

PLACE = Path(__file__).parents[2] / "charts" / "tracehound" / "files" / "crds"
GROUP = "cilium.io"
VERSION = "v1alpha1"
LICENCE = "# SPDX-License-Identifier: Apache-2.0"
LONG = (1 << 63) - 1
"""Largest integer of the API server (encoding/json into int64)."""
Schema = dict[str, Any]

NAMES = {
    "TracingPolicy": ("tracingpolicies", "tracingpolicy", "tgtp"),
    "TracingPolicyNamespaced": ("tracingpoliciesnamespaced", "tracingpolicynamespaced", "tgtpn"),
}
"""Plural, singular and short name of each kind, as Tetragon has them."""
_RULES = {
    "call": (
        "!has(self.__return__) || !self.__return__ || has(self.returnArg)",
        "return needs returnArg",
    ),
}
"""By a field that only this kind of part has: what the API server checks besides, in CEL, and its message. A
name that is a word of CEL has underscores around it; 1.31 knows `return` in no other way (Kubernetes
documentation, "Extend the Kubernetes API with CustomResourceDefinitions: Validation rules")."""
_NAMESPACED = ("!has(self.hostSelector)", "a TracingPolicyNamespaced never applies to hosts")


def definition(kind: str) -> Schema:
    """The CRD of a kind."""
    plural, singular, short = NAMES[kind]
    spec = schema_of(SPEC)
    if kind == "TracingPolicyNamespaced":
        spec["x-kubernetes-validations"] = [_rule(*_NAMESPACED)]
    top: Schema = {
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": STATUS,
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": COLUMNS,
        "schema": {"openAPIV3Schema": top},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": [short],
            },
            "scope": "Cluster" if kind == "TracingPolicy" else "Namespaced",
            "versions": [version],
        },
    }


COLUMNS = [
    {"name": "In force", "type": "string", "jsonPath": ".status.inForce"},
    {"name": "Why not", "type": "string", "jsonPath": ".status.whyNot"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]
"""`kubectl get tgtp` says on how many nodes a policy is in force, and why it is not on the others."""
# Atomic maps: otherwise `managedFields` names each node's every field, as many bytes again as the status has.
# Merge patches change single keys all the same.
STATUS: Schema = {
    "type": "object",
    "description": "Written by the agents: each node its own keys.",
    "properties": {
        "inForce": {
            "type": "string",
            "description": "On how many of the nodes that the policy is for: 2/3.",
        },
        "whyNot": {
            "type": "string",
            "description": "The first node on which it is not in force, why, and how many more there are.",
        },
        "notInForce": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "description": "By node, why the policy is not in force there, or only in parts.",
            "additionalProperties": {"type": "string"},
        },
        "nodes": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "description": "By node, what became of the policy.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "state": {"type": "string"},
                    "mode": {"type": "string"},
                    "generation": {"type": "integer", "format": "int64"},
                    "attached": {"type": "array", "items": {"type": "string"}},
                    "error": {"type": "string"},
                    "counts": {
                        "type": "object",
                        "additionalProperties": {"type": "integer", "format": "int64"},
                    },
                    "updated": {"type": "string", "format": "date-time"},
                },
            },
        },
    },
}


def schema_of(kind: Kind) -> Schema:
    """The OpenAPI schema of what a kind of value takes."""
    for shape, make in _MAKERS:
        if isinstance(kind, shape):
            made: Schema = make(kind)
            return made
    raise TypeError(f"{kind!r} has no schema")


def _text(kind: Text) -> Schema:
    found: Schema = {"type": "string", "minLength": kind.least, "maxLength": kind.most}
    if kind.pattern:
        found["pattern"] = f"^(?:{kind.pattern})$"
    return found


def _or_empty(text: Schema) -> Schema:
    """The schema of a text, and of the empty one."""
    least = text.get("minLength", 0)
    found = {name: rule for name, rule in text.items() if name != "minLength"}
    if "enum" in found:
        found["enum"] = [*found["enum"], ""]
    if "pattern" in found:
        found["pattern"] = f"{found['pattern'].removesuffix('$')}?$"
    elif least > 1:
        found["pattern"] = f"^(?:[\\s\\S]{{{least},}})?$"
    return found


def _number(kind: Number) -> Schema:
    if kind.names:
        return {"x-kubernetes-int-or-string": True}
    found: Schema = {"type": "integer", "format": "int64"}
    if kind.low > -LONG:
        found["minimum"] = kind.low
    if kind.high < LONG:
        found["maximum"] = kind.high
    return found


def _list(kind: List) -> Schema:
    if kind.takes_one:  # a list or a mapping: no structural type says so, so the agent alone checks it
        return {"x-kubernetes-preserve-unknown-fields": True}
    found: Schema = {"type": "array", "items": schema_of(kind.of), "maxItems": kind.most}
    return found | ({"minItems": kind.least} if kind.least else {})


def _map(kind: Map) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(kind.of), "maxProperties": kind.most}


def _object(kind: Object) -> Schema:
    fields = {name: schema_of(one) for name, one in kind.fields.items()}
    for name, words in _words(kind).items():
        fields[name] = {"type": "string", "enum": sorted(words)}
    fields = {name: _or_empty(one) if kind.may_be_empty(name) else one for name, one in fields.items()}
    found: Schema = {"type": "object", "properties": fields}
    if kind.required:
        found["required"] = list(kind.required)
    rules = [_rule(*_RULES[name]) for name in _RULES if name in fields and "returnArg" in fields]
    return found | ({"x-kubernetes-validations": rules} if rules else {})


def _words(kind: Object) -> dict[str, set[str]]:
    """Of fields for which schema.py admits any text (the parser names the nearest right word): the words."""
    if kind is ARGUMENT:
        return {"type": {*TYPES, *FOLDED}}
    if kind is ACTIONS.of:
        return {"action": set(FIELDS)}
    if "followChildren" in kind.fields:
        return {"operator": set(BINARY_OPERATORS)}
    if "args" in kind.fields and "operator" in kind.fields:
        return {"operator": {*ALL_OPERATORS, *SYNONYMS, *LATER}}
    return {}


def _rule(rule: str, message: str) -> Schema:
    return {"rule": rule, "message": message}


_MAKERS: tuple[tuple[type, Any], ...] = (
    (Text, _text),
    (Word, lambda kind: {"type": "string", "enum": list(kind.choices)}),
    (Flag, lambda kind: {"type": "boolean"}),
    (Number, _number),
    (List, _list),
    (Map, _map),
    (Object, _object),
    (Anything, lambda kind: {"x-kubernetes-preserve-unknown-fields": True}),
)


def written(kind: str) -> str:
    """The CRD as YAML."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes what is there several times in full each time: the API server knows no aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    head = f"{LICENCE}\n# Made by `python -m agent.policy.crd`; do not change by hand.\n"
    text: str = yaml.dump(definition(kind), Dumper=Plain, sort_keys=False, width=110)
    return head + text


def main(place: Path = PLACE) -> int:
    """Writes both files."""
    place.mkdir(parents=True, exist_ok=True)
    for kind in NAMES:
        (place / f"{GROUP}_{NAMES[kind][0]}.yaml").write_text(written(kind))
    return 0


if __name__ == "__main__":
    sys.exit(main())
