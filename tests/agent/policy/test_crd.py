# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions say what the parser takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from agent.policy import crd
from agent.policy.parse import parse_policies

OWN = sorted((Path(__file__).parents[3] / "tracingpolicies").glob("*.yaml"))
CORPUS = Path(__file__).parents[4] / "shared" / "corpora" / "tetragon-policies"


def as_json_schema(schema: Any) -> Any:
    """What the API server does with its own words: unknown fields are refused (`kubectl --validate=strict`),
    and `int-or-string` is one of both."""
    if isinstance(schema, list):
        return [as_json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: as_json_schema(value) for key, value in schema.items() if not key.startswith("x-")}
    if schema.get("x-kubernetes-int-or-string"):
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found["additionalProperties"] = False
    return found


def refusals(document: Any) -> list[str]:
    """What the API server would say of a policy's spec."""
    definition = crd.definition(document["kind"])
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    validator = jsonschema_rs.validator_for(as_json_schema(spec))
    return [error.message for error in validator.iter_errors(document["spec"])]


def policy(**fields: Any) -> dict[str, Any]:
    """A policy of one hook."""
    hook = {"call": "sys_openat", "syscall": True, **fields}
    return {"kind": "TracingPolicy", "spec": {"kprobes": [hook]}}


@pytest.mark.parametrize("kind", crd.NAMES)
def test_the_chart_has_what_the_parser_s_schema_makes(kind: str) -> None:
    file = crd.PLACE / f"cilium.io_{crd.NAMES[kind][0]}.yaml"
    assert file.read_text() == crd.written(kind)


WORDS = {
    *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
    *("import", "let", "loop", "package", "namespace", "return"),
}
"""Of CEL, which the API server escapes in names of fields (Kubernetes documentation, "Validation rules")."""


@pytest.mark.parametrize("kind", crd.NAMES)
def test_rules_escape_names_that_are_words_of_cel(kind: str) -> None:
    rules = re.findall(r"rule: (.*)", crd.written(kind))
    names = {name for rule in rules for name in re.findall(r"self\.(\w+)", rule)}
    assert "__return__" in names and not names & WORDS


@pytest.mark.parametrize("kind", crd.NAMES)
def test_a_definition_fits_the_annotation_in_which_kubectl_keeps_it(kind: str) -> None:
    assert len(json.dumps(crd.definition(kind))) < 262_144


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.stem)
def test_every_policy_of_the_library_is_accepted(file: Path) -> None:
    documents = [one for one in yaml.safe_load_all(file.read_text()) if one and "spec" in one]
    assert [text for one in documents for text in refusals(one)] == []


def test_collected_policies_are_accepted_where_the_parser_accepts_them() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no policies of others beside the checkout")
    refused = {}
    for file in sorted(CORPUS.rglob("*.yaml")):
        text = file.read_text()
        policies, problems = parse_policies(text, file.name)
        if policies and not any(one.is_error for one in problems):
            said = [told for one in yaml.safe_load_all(text) if one for told in refusals(one)]
            refused |= {file.name: said} if said else {}
    assert refused == {}


VALUE: dict[str, Any] = {
    "index": 0, "type": "int", "resolve": "", "sizeArgIndex": 0, "returnCopy": False, "maxData": False,
    "label": "", "source": "", "btfType": "", "btfTypeModule": "",
}  # fmt: skip
UNSET: dict[str, Any] = {
    "message": "",
    "args": [VALUE],
    "return": True,
    "returnArg": VALUE,
    "selectors": [
        {
            "label": "",
            "matchBinaries": [{"operator": "In", "values": ["/bin/x"], "followChildren": False}],
            "matchActions": [
                {"action": "Post", "rateLimit": "", "rateLimitScope": "", "argSig": 0, "argError": 0}
                | {"argUrl": "", "argFqdn": "", "argNewSymbol": "", "argSock": 0}
            ],
        }
    ],
}
"""What is in an object that an API server with Tetragon's CRDs stored (their defaults: `resolve`, `maxData`,
`returnCopy`, `followChildren`), or that its own programs wrote (fields without `omitempty` in types.go)."""


def test_fields_that_tetragon_fills_in_are_taken_by_both() -> None:
    document = policy(**UNSET)
    document["spec"]["lists"] = [{"name": "x", "type": "syscalls", "values": ["sys_dup"], "validated": False}]
    text = {"apiVersion": "cilium.io/v1alpha1", "metadata": {"name": "p", "namespace": ""}, **document}
    assert (refusals(document), parse_policies(yaml.safe_dump(text), "f")[1]) == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [
        {"args": [{"index": 0, "type": "strin"}]},
        {"args": [{"index": -1, "type": "int"}]},
        {"selectors": [{"matchActions": [{"action": "Sigkil"}]}]},
        {"selectors": [{"matchBinaries": [{"operator": "Equals", "values": ["/bin/sh"]}]}]},
        {"selectors": [{"matchArgs": [{"operator": "Equal", "values": "x"}]}]},
        {"selectors": [{"matchPIDs": [{"operator": "In", "values": []}]}]},
        {"mesage": "typo"},
        {"message": "x"},
        {"returnArgAction": "Track"},
    ],
)
def test_the_api_server_itself_refuses_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert refusals(policy(**wrong)) != []


def test_an_error_may_be_a_number_or_a_name() -> None:
    def override(error: object) -> dict[str, Any]:
        return policy(selectors=[{"matchActions": [{"action": "Override", "argError": error}]}])

    assert refusals(override(-1)) == refusals(override("EPERM")) == []


def test_a_namespaced_policy_never_applies_to_hosts() -> None:
    spec = crd.definition("TracingPolicyNamespaced")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rules = spec["properties"]["spec"]["x-kubernetes-validations"]
    assert [one["rule"] for one in rules] == ["!has(self.hostSelector)"]
