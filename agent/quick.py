# SPDX-License-Identifier: Apache-2.0
"""The common life (fork, exec, exit) from ring bytes to log lines, without a typed record at each stage.

What a record says besides identity and time is said again and again: its facts, its paths, its arguments.
Each of the three is described and encoded once and kept as pieces of JSON under its bytes, which are the key.
A fork waits until it is known whether an exec follows: nearly always one does, and nothing of it is needed.

Whatever is not common is left to the stages (agent.pipeline): every function here decides first, changes
nothing when it declines, and makes the same bytes as the stages do (tests/agent/test_quick.py compares them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import TypeVar

from orjson import dumps

from agent.decode.exec import EXEC
from agent.decode.exit import EXIT
from agent.decode.fork import FORK
from agent.decode.header import FACTS_FORMAT, facts_from
from agent.decode.paths import path_from_leaf_first
from agent.enrich.describe import Describer, Redactor, binary_of
from agent.enrich.home import Home
from agent.enrich.process import PID_BITS, Process, exec_id_of
from agent.enrich.redact.rules import MARKER_PREFIX
from agent.enrich.registry import Registry
from agent.enrich.text import join_arguments
from agent.enrich.tree import DEPTH_MOST, ProcessTree
from agent.events import EXECED, FORKED, IN_INIT_TREE, PARENT_MISSED, PRIVILEGES_KNOWN
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line

_FACTS = Struct("=" + FACTS_FORMAT)
_EXEC = Struct(f"=4xIQI4xQIIQ{_FACTS.size}s12xI4xII8H4x")
"""Of struct exec_record: flags, ktime_ns, tgid, image_ktime, parent_tgid, nspid, parent_ktime, the facts'
bytes, links, bytes of arguments and of environment, then lengths and numbers of chunks."""
_EXIT = Struct("=8xQI4xQ16xI4x")
"""Of struct exit_record: ktime_ns, tgid, image_ktime, exit_code_raw."""
_FORK = Struct("=16xI4xQI4xQ8xI4x")
"""Of struct fork_record: tgid, image_ktime, parent_tgid, parent_ktime, creator_tgid."""
_PATH_LENGTHS = slice(EXEC.size - 20, EXEC.size - 12)
"""Of struct exec_record: the lengths of filename, cgroup, exe and cwd."""
_FLAGS = slice(4, 8)

_ASKING = 0xFFFFFFFF & ~(FORKED | IN_INIT_TREE | PARENT_MISSED | PRIVILEGES_KNOWN | EXECED)
"""With one of these flags an exec asks for more than its words, and the stages do it."""
_KEY = Struct("=4x4H")
_MOST = 2048
"""So many of each are kept; one takes up to 3 KiB."""
_BYTES_MOST = 512
"""Longer arguments and paths are not kept."""
_DOCKER = 31
"""Characters of a container's id in an event (agent.enrich.containers)."""
_ONE_EXEC = 1 << PID_BITS
"""How much higher the key of the next image of a process is."""

_Learned = TypeVar("_Learned")


@dataclass(frozen=True, slots=True)
class _Facts:
    """Of a task."""

    uid: int
    auid: int
    own: str
    """Keys below `tracehound`."""
    cgroup: str
    """The key `cgroup` up to the name; empty when there is none."""
    cgroup_id: int
    home: Home | None
    """The container that its cgroup belongs to."""


@dataclass(frozen=True, slots=True)
class _Paths:
    """What an exec record's flags and paths say."""

    binary: str
    cwd: str
    words: str
    container: str
    """That its own cgroup's name tells."""
    inside: str
    """Its keys up to the arguments."""
    behind: str
    """Those behind the arguments, up to the time."""
    exe: str
    cgroup: str
    """Its name, as JSON, and the end of the key; empty when there is none."""


@dataclass(slots=True)  # not frozen: made with every exec whose arguments are new
class _Arguments:
    """An argument area."""

    joined: str
    inside: str
    """The key of the process object."""
    own: str
    """The key below `tracehound`."""


class QuickLives:
    """Shares tree, descriptions and encoder with the stages."""

    def __init__(
        self,
        tree: ProcessTree,
        describe: Describer,
        encoder: Encoder,
        clock: WallClock,
        registry: Registry | None = None,
    ) -> None:
        self.waiting: dict[int, tuple[Process, bytes]] = {}
        """Forks that no exec followed yet, by key of the image: who is the parent, and the record."""
        self._tree = tree
        self._living = tree.living
        self._describe = describe
        self._encoder = encoder
        self._clock = clock
        self._registry = registry or Registry()
        self._prefix = tree.node + b":"
        self._facts: dict[bytes, _Facts] = {}
        self._paths: dict[bytes, _Paths] = {}
        self._arguments: dict[bytes, _Arguments] = {}
        self._made_with: tuple[int, Redactor | None] = encoder.changes, describe.redactor

    def begin(self) -> None:
        """To be called ahead of a batch: after a change of settings everything is described anew."""
        made_with = self._encoder.changes, self._describe.redactor
        if made_with != self._made_with:
            self._made_with = made_with
            for kept in (self._facts, self._paths, self._arguments):
                kept.clear()

    def fork(self, raw: bytes) -> bool:
        """Whether the fork waits here. The batch has to be ended with the stages doing what still waits."""
        if len(raw) < FORK.size:
            return False
        tgid, image, parent_tgid, parent_image, creator = _FORK.unpack_from(raw)
        key = image << PID_BITS | tgid
        parent = self._living.get(parent_image << PID_BITS | parent_tgid)
        if parent is None or creator or key in self._living:  # who was there before us is known by now
            return False
        self.waiting[key] = parent, raw
        return True

    def exec(self, raw: bytes) -> Line | None:
        """A process_exec line; None: the stages have to do it."""
        if len(raw) < EXEC.size:
            return None
        (flags, ktime, tgid, image, parent_tgid, nspid, parent_image, facts_raw, links, arguments_bytes,
         environment_bytes, filename_l, cgroup_l, exe_l, cwd_l, arguments_l, environment_l, arguments_c,
         environment_c) = _EXEC.unpack_from(raw)  # fmt: skip
        if flags & _ASKING or not links or arguments_c or environment_c or environment_bytes or environment_l:
            return None
        at_arguments = EXEC.size + filename_l + cgroup_l + exe_l + cwd_l
        end = at_arguments + arguments_l
        tree, living = self._tree, self._living
        parent = living.get(parent_image << PID_BITS | parent_tgid)
        if arguments_l != arguments_bytes or len(raw) < end or parent is None or not parent.announced:
            return None
        key = image << PID_BITS | tgid
        before = living.get(key - _ONE_EXEC)
        if (
            parent.depth >= DEPTH_MOST
            or len(living) >= tree.most
            or (before is not None and (before is parent or before.creator or before.place is not None))
        ):
            return None
        paths_raw = raw[_FLAGS] + raw[_PATH_LENGTHS] + raw[EXEC.size : at_arguments]
        paths = self._paths.get(paths_raw) or self._learn_paths(paths_raw, flags)
        arguments_raw = raw[at_arguments:end]
        arguments = self._arguments.get(arguments_raw) or self._learn_arguments(arguments_raw)
        if paths is None or arguments is None:
            return None
        facts = self._facts.get(facts_raw) or self._learn_facts(facts_raw)
        # From here on nothing declines.
        if before is not None:
            del living[key - _ONE_EXEC]
        else:
            self.waiting.pop(key - _ONE_EXEC, None)
        exec_id, stamp = exec_id_of(self._prefix, tgid, image), self._clock.text(ktime)
        process = living[key] = Process(tgid, image, exec_id, parent)
        process.flags = flags
        process.uid = uid = facts.uid
        process.auid = auid = facts.auid
        process.binary, process.cwd, process.words = paths.binary, paths.cwd, paths.words
        process.arguments = arguments.joined
        process.start_time = stamp
        docker = ""
        if paths.container or parent.container or facts.home is not None:
            docker = self._enter(process, facts, paths.container, nspid)
        process.fragment = (
            f'{{"exec_id":"{exec_id}","pid":{tgid},"uid":{uid}{paths.inside}{arguments.inside}{paths.behind}{stamp}'
            f'","auid":{auid}{docker},"parent_exec_id":"{parent.exec_id}","tid":{tgid},"in_init_tree":'
            f"{'true}' if flags & IN_INIT_TREE else 'false}'}"
        )
        cgroup = paths.cgroup and facts.cgroup and f"{facts.cgroup}{paths.cgroup}"
        inner = f',"nspid":{nspid}' if nspid else ""
        own = f"{arguments.own}{paths.exe}{facts.own}{cgroup}{inner}"
        return self._encoder.exec_of(process, stamp, own)

    def _enter(self, process: Process, facts: _Facts, named: str, nspid: int) -> str:
        """A process of a container; its keys `pod` and `docker`."""
        process.container = named or (process.parent.container if process.parent else "")
        self._registry.settle(process, facts.cgroup_id, named, nspid)
        pod = process.place.pod_field() if process.place is not None else ""
        return f'{pod},"docker":{self._encoder.string(process.container[:_DOCKER])}'

    def exit(self, raw: bytes) -> Line | None:
        """A process_exit line; None: the stages have to do it."""
        if len(raw) < EXIT.size:
            return None
        ktime, tgid, image, code = _EXIT.unpack_from(raw)
        key = image << PID_BITS | tgid
        process = self._living.get(key)
        if process is None or process.parent is None or process.words == "unknown":
            return None
        del self._living[key]
        return self._encoder.exit(process, code, self._clock.text(ktime))

    def _learn_facts(self, raw: bytes) -> _Facts:
        facts = facts_from(_FACTS.unpack(raw))
        cgroup = f',"cgroup":{{"id":"{facts.cgroup_id}","name":' if facts.cgroup_id else ""
        own, home = self._encoder.facts_json(facts), self._registry.by_cgroup.get(facts.cgroup_id)
        learned = _Facts(facts.credentials.euid, facts.auid, own, cgroup, facts.cgroup_id, home)
        return _kept(self._facts, raw, learned)

    def _learn_paths(self, raw: bytes, flags: int) -> _Paths | None:
        describe, string = self._describe, self._encoder.string
        not_text: dict[str, object] = {}
        filename, cgroup_name, exe_raw, cwd_raw = _parts(raw)
        exe_path, cwd_path = path_from_leaf_first(exe_raw), path_from_leaf_first(cwd_raw)
        exe, cwd = describe.text(exe_path, "exe", not_text), describe.text(cwd_path, "cwd", not_text)
        binary = describe.text(binary_of(filename, cwd_path, exe_path), "binary", not_text)
        cgroup = describe.text(cgroup_name, "cgroup", not_text)
        if not_text:
            return None
        words, container = describe.flag_words(flags, cwd == "/", False), describe.container(cgroup)
        learned = _Paths(
            binary,
            cwd,
            words,
            container,
            (f',"cwd":{string(cwd)}' if cwd else "") + (f',"binary":{string(binary)}' if binary else ""),
            f',"flags":"{words}","start_time":"',
            f',"exe":{string(exe)}' if exe != binary else "",
            f"{string(cgroup)}}}" if cgroup else "",
        )
        return _kept(self._paths, raw, learned)

    def _learn_arguments(self, raw: bytes) -> _Arguments | None:
        """Arguments with a secret are not kept."""
        not_text: dict[str, object] = {}
        argv = self._describe.arguments(raw, not_text)
        if not_text:
            return None
        joined = join_arguments(argv)
        inside = f',"arguments":{dumps(joined).decode()}' if joined else ""
        own = f',"arguments":{dumps(argv).decode()}' if argv else ""
        learned = _Arguments(joined, inside, own)
        if MARKER_PREFIX in own:
            return learned
        return _kept(self._arguments, raw, learned)


def _kept(memory: dict[bytes, _Learned], raw: bytes, learned: _Learned) -> _Learned:
    if len(memory) >= _MOST:
        memory.clear()
    if len(raw) <= _BYTES_MOST:
        memory[raw] = learned
    return learned


def _parts(raw: bytes) -> Iterator[bytes]:
    """Filename, cgroup, exe and cwd of a key: flags, lengths, and these one behind the other."""
    at = _KEY.size
    for length in _KEY.unpack_from(raw):
        yield raw[at : at + length]
        at += length
