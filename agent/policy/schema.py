# SPDX-License-Identifier: Apache-2.0
"""The fields of a TracingPolicy (cilium.io/v1alpha1): names, forms and limits. What several fields must be
together is checked by the modules that read them."""

from __future__ import annotations

import errno
import signal

from agent.policy import bounds
from agent.policy.shape import Anything, Flag, Kind, List, Map, Number, Object, Text, Word

API_VERSION = "cilium.io/v1alpha1"
KINDS = ("TracingPolicy", "TracingPolicyNamespaced")

_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_SYMBOL = r"[A-Za-z_][A-Za-z0-9_.]{0,254}"
_IN = Word(("In", "NotIn"))
_TEXTS = List(Text(1, bounds.TEXT_BYTES, is_loose=True), bounds.VALUES)
_SOME_TEXTS = List(Text(1, bounds.TEXT_BYTES, is_loose=True), bounds.VALUES, least=1)

SIGNALS = {member.name: int(member) for member in signal.Signals}
ERRNOS = {name: number for number, name in errno.errorcode.items()} | {"EWOULDBLOCK": errno.EWOULDBLOCK}

LABEL_SELECTOR = Object(
    {
        "matchLabels": Map(Text(0, 512)),
        "matchExpressions": List(
            Object(
                {
                    "key": Text(1, 317),
                    "operator": Word(("In", "NotIn", "Exists", "DoesNotExist")),
                    "values": List(Text(0, 512), 1024),
                },
                ("key", "operator"),
            ),
            256,
        ),
    }
)
_WORKLOAD: dict[str, Kind] = {
    "podSelector": LABEL_SELECTOR,
    "containerSelector": LABEL_SELECTOR,
    "hostSelector": LABEL_SELECTOR,
}

ARGUMENT = Object(
    {
        "index": Number(0, bounds.TRACEPOINT_FIELDS - 1),
        "type": Text(1, 64),
        "resolve": Text(1, 1024),
        "sizeArgIndex": Number(0, bounds.FUNCTION_ARGUMENTS),
        "returnCopy": Flag(),
        "maxData": Flag(),
        "label": Text(1, 256),
        "source": Word(("current_task", "pt_regs")),
        "btfType": Text(1, 255),
        "btfTypeModule": Text(1, 255),
    }
)
_ARGUMENTS = List(ARGUMENT, bounds.ARGUMENTS)

_VALUE_FILTER = Object(
    {
        "index": Number(0, bounds.TRACEPOINT_FIELDS - 1),
        "args": List(Number(0, bounds.ARGUMENTS - 1), 2, least=1),
        "operator": Text(1, 64),
        "values": _TEXTS,
    },
    ("operator",),
)
_VALUE_FILTERS = List(_VALUE_FILTER, bounds.FILTERS)
_BINARIES = List(
    Object(
        {"operator": Text(1, 64), "values": _SOME_TEXTS, "followChildren": Flag()}, ("operator", "values")
    ),
    bounds.FILTERS,
)
_CAPABILITIES = List(
    Object(
        {
            "type": Word(("Effective", "Inheritable", "Permitted")),
            "operator": _IN,
            "isNamespaceCapability": Flag(),
            "values": _SOME_TEXTS,
        },
        ("operator", "values"),
    ),
    bounds.FILTERS,
)
NAMESPACES = (
    "Uts",
    "Ipc",
    "Mnt",
    "Pid",
    "PidForChildren",
    "Net",
    "Time",
    "TimeForChildren",
    "Cgroup",
    "User",
)
CREDENTIALS = ("uid", "euid", "suid", "fsuid", "gid", "egid", "sgid", "fsgid")

ACTIONS = List(
    Object(
        {
            "action": Text(1, 64),
            "argError": Number(-bounds.ERRNO, bounds.ERRNO, ERRNOS),
            "argSig": Number(0, bounds.SIGNALS, SIGNALS),
            "argSock": Number(0, bounds.TRACEPOINT_FIELDS - 1),
            "argUrl": Text(1, 2048),
            "argFqdn": Text(1, 253),
            "argIndex": Number(0, bounds.ARGUMENTS - 1),
            "argValue": Number(-(1 << 31), (1 << 32) - 1),
            "argRegs": List(Text(1, 128), 16),
            "argNewSymbol": Text(1, 255),
            "argNewAddr": Number(0, (1 << 64) - 1),
            "argNewOffset": Number(-(1 << 63), (1 << 64) - 1),
            "argFd": Number(),
            "argName": Number(),
            "rateLimit": Text(1, 32, is_loose=True),
            "rateLimitScope": Word(("thread", "process", "global")),
            "kernelStackTrace": Flag(),
            "userStackTrace": Flag(),
            "imaHash": Flag(),
        },
        ("action",),
    ),
    bounds.ACTIONS,
)

SELECTOR_FIELDS: dict[str, Kind] = {
    "label": Text(1, 256),
    "matchArgs": _VALUE_FILTERS,
    "matchData": _VALUE_FILTERS,
    "matchReturnArgs": _VALUE_FILTERS,
    "matchPIDs": List(
        Object(
            {
                "operator": _IN,
                "values": List(Number(0, bounds.PIDS), bounds.VALUES, least=1),
                "isNamespacePID": Flag(),
                "followForks": Flag(),
            },
            ("operator", "values"),
        ),
        bounds.FILTERS,
    ),
    "matchBinaries": _BINARIES,
    "matchParentBinaries": _BINARIES,
    "matchNamespaces": List(
        Object(
            {"namespace": Word(NAMESPACES), "operator": _IN, "values": _SOME_TEXTS},
            ("namespace", "operator", "values"),
        ),
        bounds.FILTERS,
    ),
    "matchNamespaceChanges": List(
        Object(
            {"operator": _IN, "values": List(Word(NAMESPACES), 10, least=1)},
            ("operator", "values"),
        ),
        bounds.FILTERS,
    ),
    "matchCapabilities": _CAPABILITIES,
    "matchCapabilityChanges": _CAPABILITIES,
    "matchCurrentCred": List(
        Object(
            {"field": Word(CREDENTIALS), "operator": _IN, "values": _SOME_TEXTS},
            ("field", "operator", "values"),
        ),
        bounds.FILTERS,
    ),
    "matchWorkloads": List(Object(_WORKLOAD), 1, takes_one=True),
    "matchActions": ACTIONS,
    "matchReturnActions": ACTIONS,
}
MACRO = Object(SELECTOR_FIELDS)
SELECTOR = Object({**SELECTOR_FIELDS, "macros": List(Text(1, 256), bounds.LISTS)})

_SAID: dict[str, Kind] = {
    "message": Text(2, bounds.MESSAGE),
    "tags": List(Text(2, bounds.TAG), bounds.TAGS),
    "selectors": List(SELECTOR, bounds.SELECTORS),
    "args": _ARGUMENTS,
    "data": _ARGUMENTS,
}
_RETURN: dict[str, Kind] = {"return": Flag(), "returnArg": ARGUMENT}
_IGNORE: dict[str, Kind] = {"ignore": Object({"callNotFound": Flag()})}

_KPROBE = Object(
    {
        "call": Text(1, 255, rf"list:.+|(?:[a-z0-9_]+/)?{_SYMBOL}", "the name of a function, nor list:NAME"),
        "syscall": Flag(),
        "returnArgAction": Word(("TrackSock", "UntrackSock")),
        **_SAID,
        **_RETURN,
        **_IGNORE,
    },
    ("call",),
)
_TRACEPOINT = Object(
    {
        "subsystem": Text(1, 128, r"[A-Za-z0-9_.-]+", "the name of a subsystem"),
        "event": Text(1, 128, r"[A-Za-z0-9_.-]+", "the name of an event"),
        "raw": Flag(),
        **_SAID,
        **_IGNORE,
    },
    ("subsystem", "event"),
)
_LSM = Object({"hook": Text(1, 128, r"[a-z0-9_]+", "the name of an LSM hook"), **_SAID, **_IGNORE}, ("hook",))
_PATH = Text(1, bounds.TEXT_BYTES, r"/.*", "an absolute path")
_DIGEST = (
    r"(?:sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}"
    r"|build-id:[0-9a-f]{2,128})"
)
_UPROBE = Object(
    {
        "path": _PATH,
        "btfPath": _PATH,
        "symbols": List(Text(1, 1024), 1024),
        "offsets": List(Number(0, (1 << 64) - 1), 1024),
        "addrs": List(Number(0, (1 << 64) - 1), 1024),
        "refCtrOffsets": List(Number(0, (1 << 64) - 1), 1024),
        "binaryDigests": List(
            Text(1, 160, _DIGEST, "sha1:, sha256:, sha384:, sha512: or build-id: with hex"), 64
        ),
        "resolvePathInContainer": Flag(),
        "ignore": Object({"digestVerificationFailure": Flag(), "callNotFound": Flag()}),
        **_SAID,
        **_RETURN,
    },
    ("path",),
)
_USDT = Object(
    {"path": _PATH, "btfPath": _PATH, "provider": Text(1, 255), "name": Text(1, 255), **_SAID},
    ("path", "provider", "name"),
)

_LIST = Object(
    {
        "name": Text(1, 256),
        "type": Word(("syscalls", "generated_syscalls", "generated_ftrace", "none")),
        "values": List(Text(1, 512), bounds.LIST_VALUES),
        "pattern": Text(1, bounds.PATTERN_BYTES),
        "validated": Flag(),
    },
    ("name",),
)

SPEC = Object(
    {
        "kprobes": List(_KPROBE, bounds.HOOKS),
        "fentries": List(_KPROBE, bounds.HOOKS),
        "tracepoints": List(_TRACEPOINT, bounds.HOOKS),
        "lsmhooks": List(_LSM, bounds.HOOKS),
        "uprobes": List(_UPROBE, bounds.HOOKS),
        "usdts": List(_USDT, bounds.HOOKS),
        "loader": Flag(),
        "lists": List(_LIST, bounds.LISTS),
        "enforcers": List(Object({"calls": List(Text(1, 255), bounds.LIST_VALUES, least=1)}, ("calls",)), 1),
        "options": List(
            Object({"name": Text(1, 256), "value": Text(0, 256, is_loose=True)}, ("name", "value")), 32
        ),
        "selectorsMacros": Map(MACRO, bounds.LISTS),
        "nodeSelector": LABEL_SELECTOR,
        **_WORKLOAD,
    }
)

_UNREAD = (
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
)
"""Fields of Kubernetes' ObjectMeta that say nothing here."""
METADATA = Object(
    {
        "name": Text(1, 253, _NAME, "a name: a-z, 0-9, - and . (RFC 1123)"),
        "namespace": Text(1, 63, r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", "a namespace: a-z, 0-9 and - (RFC 1123)"),
        "labels": Map(Text(0, 512)),
        "annotations": Map(Text(0, 1 << 18)),
        **{name: Anything() for name in _UNREAD},
    },
    ("name",),
)
POLICY = Object(
    {
        "apiVersion": Word((API_VERSION,)),
        "kind": Word(KINDS),
        "metadata": METADATA,
        "spec": SPEC,
        "status": Anything(),
    },
    ("apiVersion", "kind", "metadata", "spec"),
)
