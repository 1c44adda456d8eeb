# SPDX-License-Identifier: Apache-2.0
"""`tracehound oci-hook`: called by container runtimes before a container's first process.

Sources: OCI runtime specification, runtime.md ("State") and config.md ("POSIX-platform Hooks": createRuntime
runs in the runtime's namespaces, with the state on standard input; a status other than 0 ends the container);
oci-hooks(5) of containers/common for the file in hooks.d."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from agent.cli.arguments import above_zero, add_agent_arguments, whereabouts_from
from agent.cli.text import clean
from agent.errors import UsageError

HELP = "Tell the agent of a container before its first process: an OCI createRuntime hook."
EXAMPLES = """\
examples:
  tracehound oci-hook < state.json                      what a runtime calls
  tracehound oci-hook --hooks-file > /usr/share/containers/oci/hooks.d/tracehound.json
                                                        install it for CRI-O and Podman
  ctr oci spec | tracehound oci-hook --spec > /etc/containerd/tracehound.json
                                                        for containerd: name this file as base_runtime_spec
  tracehound oci-hook --fail-closed 'payments-*' --hooks-file
                                                        containers of these namespaces need the agent to start

exit status: 0 the container may start; 1 it may not: its namespace is fail-closed, and no agent answered
"""
LONGEST = 64 << 20
"""Bytes of a state or of a bundle's config.json. Who writes a pod (1.5 MB) must not be able to make one that
is not read: its namespace would not be known."""
LONGEST_NOTE, MOST_NOTES = 4096, 128
"""Characters of an annotation that is handed on, and how many: the request has to arrive."""
_POD = {
    "podNamespace": ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
    "podName": ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"),
    "podUID": ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"),
    "containerName": ("io.kubernetes.cri.container-name", "io.kubernetes.container.name"),
    "containerImage": ("io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"),
}
"""By field of CreateContainer: annotations of containerd (pkg/cri/annotations), CRI-O (pkg/annotations)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--fail-closed, --timeout, --hooks-file, --spec, and where the agent is."""
    parser.add_argument(
        "--fail-closed",
        action="append",
        default=[],
        metavar="PATTERN",
        help="containers of these namespaces do not start without the agent; never name its own"
        " (may be repeated; default: none)",
    )
    parser.add_argument(
        "--timeout",
        type=above_zero,
        default=3,
        metavar="SECONDS",
        help="wait so long for the agent (default: 3)",
    )
    parser.add_argument("--hooks-file", action="store_true", help="print the file for hooks.d and end")
    parser.add_argument(
        "--spec", action="store_true", help="read an OCI configuration, print it with this hook, and end"
    )
    add_agent_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """0: the container may start."""
    if args.hooks_file:
        file = {"version": "1.0.0", "hook": hook_of(args), "when": {"always": True}}
        print(json.dumps({**file, "stages": ["createRuntime"]}, indent=2))
        return 0
    if args.spec:
        print(json.dumps(with_hook(_read(sys.stdin.buffer.read(LONGEST)), hook_of(args)), indent=2))
        return 0
    told = container_of(_read(sys.stdin.buffer.read(LONGEST)))
    return call(told, args)


def call(told: Mapping[str, Any], args: argparse.Namespace) -> int:
    """Tells the agent; without it the namespace decides."""
    try:
        from agent.api.client import AgentClient
        from agent.api.proto.tetragon import tetragon_pb2 as pb

        request = pb.RuntimeHookRequest(createContainer=pb.CreateContainer(**told))
        client = AgentClient(whereabouts_from(args).socket, float(args.timeout))
        client.call("RuntimeHook", request, pb.RuntimeHookResponse)
        return 0
    except Exception as error:  # whatever it is: a defect of ours must not keep containers from starting
        space = str(told.get("podNamespace", ""))
        is_closed = any(fnmatchcase(space, pattern) for pattern in args.fail_closed)
        what = (
            f"namespace {clean(space)} is fail-closed: not started" if is_closed else "started all the same"
        )
        print(f"tracehound: container {told['containerID'][:12]}: {error}; {what}", file=sys.stderr)
        return 1 if is_closed else 0


def container_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of CreateContainer, from the state and the bundle that it names."""
    if not isinstance(state.get("id"), str):
        raise UsageError(
            "standard input holds no state of a container", "a container runtime calls this; see --help"
        )
    config = _bundle(state)
    notes = {**_mapping(config.get("annotations")), **_mapping(state.get("annotations"))}
    texts = {str(key): value for key, value in notes.items() if isinstance(value, str)}
    pod = {
        field: next((texts[name] for name in names if texts.get(name)), "") for field, names in _POD.items()
    }
    return {
        "containerID": state["id"],
        "cgroupsPath": cgroup_of(state.get("pid"))
        or str(_mapping(config.get("linux")).get("cgroupsPath", "")),
        "rootDir": str(_mapping(config.get("root")).get("path", "")),
        "annotations": dict(islice(_short(texts), MOST_NOTES)),
        **pod,
    }


def _short(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, value in texts.items() if len(key) + len(value) <= LONGEST_NOTE)


def cgroup_of(pid: object, procfs: Path = Path("/proc")) -> str:
    """Where the waiting first process is, below the mount point: the configuration may name systemd's slice.
    Of several hierarchies (cgroups(7)) the unified one counts, else systemd's."""
    try:
        lines = (procfs / str(pid) / "cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    found = {kind: path for _, kind, path in (line.split(":", 2) for line in lines)}
    return next((found[kind] for kind in ("", "name=systemd", "memory") if found.get(kind, "/") != "/"), "")


def hook_of(args: argparse.Namespace) -> dict[str, Any]:
    """This command with its options, as hooks are written down."""
    path = shutil.which("tracehound") or str(Path(sys.argv[0]).absolute())
    words = ["tracehound", "oci-hook", "--timeout", str(args.timeout)]
    words += [word for pattern in args.fail_closed for word in ("--fail-closed", pattern)]
    words += ["--socket", args.socket] if args.socket else []
    return {"path": path, "args": words, "timeout": args.timeout + 2}


def with_hook(spec: Mapping[str, Any], hook: Mapping[str, Any]) -> dict[str, Any]:
    """An OCI configuration with the hook, once."""
    hooks = dict(_mapping(spec.get("hooks")))
    others = [one for one in hooks.get("createRuntime") or [] if "oci-hook" not in (one.get("args") or [])]
    return {**spec, "hooks": {**hooks, "createRuntime": [*others, dict(hook)]}}


def _bundle(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """config.json; without it the container is told of by its id alone."""
    try:
        with (Path(str(state.get("bundle", ""))) / "config.json").open("rb") as file:
            found = json.loads(file.read(LONGEST))
    except (OSError, ValueError):
        return {}
    return _mapping(found)


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError("standard input is no JSON object", "a container runtime calls this; see --help")
    return found


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
