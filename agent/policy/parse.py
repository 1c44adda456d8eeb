# SPDX-License-Identifier: Apache-2.0
"""TracingPolicies from YAML: all that can be checked without asking the kernel about hooks, all problems at
once. A policy with an error is not among those that are handed on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.configuration.values import shorten
from agent.policy.document import MAX_TEXT_BYTES, Document, read_documents
from agent.policy.hooks import Surroundings, read_hooks
from agent.policy.lists import Lists
from agent.policy.model import Options, Policy, Problem, Where
from agent.policy.options import read_options
from agent.policy.report import Report
from agent.policy.schema import API_VERSION, POLICY
from agent.policy.shape import Leaf, Part
from agent.policy.symbols import KernelNames, RunningKernel
from agent.policy.workloads import read_labels, read_workload

_HOOKS = ("kprobes", "fentries", "lsmhooks", "tracepoints", "uprobes", "usdts")


def read_policies(path: Path, names: KernelNames | None = None) -> tuple[list[Policy], list[Problem]]:
    """The policies of a file. What cannot be read is a problem."""
    source = str(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [], [Problem(Where(source, 0, ""), f"cannot be read: {reason}", "check the path")]
    if len(data) > MAX_TEXT_BYTES:
        text = f"is longer than {MAX_TEXT_BYTES} bytes"
        return [], [Problem(Where(source, 0, ""), text, "split it into several files")]
    try:
        return parse_policies(data.decode("utf-8-sig"), source, names)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = f"byte {data[error.start]:#04x} is not UTF-8"
        return [], [Problem(Where(source, line, ""), text, "save the file as UTF-8")]


def parse_policies(
    text: str, source: str, names: KernelNames | None = None
) -> tuple[list[Policy], list[Problem]]:
    """The policies of a text without an error, and what is wrong or should be known. `names`: what the kernel
    has, for generated lists; by default that of this machine."""
    report, found = Report(), list[Policy]()
    for document in read_documents(text, source, report):
        errors = report.errors
        policy = _read_policy(document, source, names or RunningKernel(), report)
        if policy is not None and report.errors == errors:
            found.append(policy)
    if not found and not report.errors:
        report.warn(Where(source, 0, ""), "holds no policy", f"begin with apiVersion: {API_VERSION}")
    doubled = {each.where for each in _tell_doubles(found, report)}
    return [each for each in found if each.where not in doubled], report.problems()


def duplicates(policies: Iterable[Policy]) -> list[Problem]:
    """Policies of one load (of several files, perhaps) with a name that one before them has."""
    report = Report()
    _tell_doubles(policies, report)
    return report.problems()


def _tell_doubles(policies: Iterable[Policy], report: Report) -> list[Policy]:
    seen: dict[str, Policy] = {}
    doubled = []
    for policy in policies:
        first = seen.setdefault(policy.key, policy)
        if first is not policy:
            at = f"{first.where.source}:{first.where.line}"
            where = policy.where._replace(path="metadata.name")
            report.error(
                where, f"there are two policies {shorten(policy.key)}", f"rename one; the first: {at}"
            )
            doubled.append(policy)
    return doubled


def _read_policy(document: Document, source: str, names: KernelNames, report: Report) -> Policy | None:
    where = Where(source, document.root.line, "")
    if document.root.kind == "mapping" and not document.root.fields.keys() & {"spec", "metadata"}:
        report.error(
            where, "is no TracingPolicy", f"begin with apiVersion: {API_VERSION} and kind: TracingPolicy"
        )
        return None
    part = POLICY.read(document.root, where, report)
    metadata, spec = (None, None) if part is None else (part.part("metadata"), part.part("spec"))
    if part is None or metadata is None or spec is None:
        return None
    namespace = _namespace(part, metadata, report)
    around = _surroundings(spec, names, report)
    hooks = read_hooks(spec, around)
    _check_spec(spec, report)
    return Policy(
        name=metadata.text("name"),
        namespace=namespace,
        hooks=hooks,
        workload=read_workload(spec, report, namespace),
        node=read_labels(spec, "nodeSelector", report),
        enforcer_calls=_enforcer_calls(spec, around),
        options=read_options(spec, report) if spec.has("options") else Options(),
        labels=_pairs(metadata, "labels"),
        annotations=_pairs(metadata, "annotations"),
        text=document.text,
        where=metadata.at("name"),
    )


def _namespace(part: Part, metadata: Part, report: Report) -> str:
    """Of a TracingPolicyNamespaced; `default`, as for Kubernetes, where none is written."""
    if part.text("kind") == "TracingPolicyNamespaced":
        return metadata.text("namespace", "default")
    if metadata.has("namespace"):
        text = "a TracingPolicy belongs to no namespace: ignored"
        report.warn(metadata.at("namespace"), text, "use the kind TracingPolicyNamespaced, or remove it")
    return ""


def _surroundings(spec: Part, names: KernelNames, report: Report) -> Surroundings:
    macros = spec.part("selectorsMacros")
    return Surroundings(
        lists=Lists(spec.parts("lists"), names, report),
        macros={} if macros is None else {n: p for n in macros.fields if (p := macros.part(n)) is not None},
        has_enforcer=spec.has("enforcers"),
        report=report,
    )


def _check_spec(spec: Part, report: Report) -> None:
    if spec.flag("loader"):
        text = "loader is not supported yet: events of loaded images come in a later version"
        report.error(spec.at("loader"), text, "remove it; a hook on security_mmap_file tells of mapped files")
    is_empty = not any(spec.parts(name) for name in _HOOKS) and not spec.flag("loader")
    if is_empty and not spec.broken & {*_HOOKS, "loader"}:
        report.error(spec.where, "has no hooks", f"write one of {', '.join(_HOOKS)}")
    if spec.has("enforcers") and not any(spec.parts(name) for name in ("kprobes", "tracepoints")):
        hint = "NotifyEnforcer in kprobes or tracepoints tells the enforcer what to do"
        report.warn(spec.at("enforcers"), "nothing notifies the enforcer", hint)


def _enforcer_calls(spec: Part, around: Surroundings) -> tuple[str, ...]:
    """`sys_x`, `i386/sys_x` or `security_x`, each once."""
    leaves = [leaf for part in spec.parts("enforcers") for leaf in part.leaves("calls")]
    return tuple(dict.fromkeys(name for leaf in leaves for name in _enforcer_names(leaf, around)))


def _enforcer_names(leaf: Leaf, around: Surroundings) -> list[str]:
    text = str(leaf.value)
    if text.startswith("list:"):
        calls = around.lists.calls(text, leaf.where)
        wrong = [c.name for c in calls if not c.is_syscall and not c.name.startswith("security_")]
        if wrong:
            hint = "enforcers take system calls and security_ functions"
            around.report.error(leaf.where, f"{shorten(wrong[0])} cannot be enforced", hint)
    elif text.startswith("security_"):
        return [text]
    else:
        call = around.lists.system_call(leaf)
        calls = [] if call is None else [call]
    return [f"i386/{call.name}" if call.abi == "32" else call.name for call in calls]


def _pairs(metadata: Part, name: str) -> tuple[tuple[str, str], ...]:
    found = metadata.part(name)
    return () if found is None else tuple((key, str(leaf.value)) for key, leaf in found.fields.items())
