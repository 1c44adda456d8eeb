# SPDX-License-Identifier: Apache-2.0
"""Whether the log is as it was written: every segment, in whatever form, and the order of them all.

Reads only, needs neither agent nor lock. What an agent does meanwhile (begin, compact, remove a segment) is
no fault: the manifest is read again before a segment is called missing.
"""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from pathlib import Path

from agent.errors import LogUnavailable
from agent.log.compaction import compacted_names, parquet_name
from agent.log.examine import Fault, Progress, look
from agent.log.forms import Forms
from agent.log.manifest import MANIFEST_NAME, Manifest, read_manifest
from agent.log.order import order_fault
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, list_segments
from agent.log.verdict import Link, Rebuild, Verdict
from agent.log.window import Window


def verify(
    directory: Path,
    *,
    head: str = "",
    since_ns: int | None = None,
    rebuild: Rebuild | None = None,
    progress: Progress = lambda _: None,
) -> Verdict:
    """Verifies a log. `head` is what a receiver has kept of a heartbeat: `chain.manifest` or `chain.sha256`.
    With `since_ns` (wall-clock nanoseconds) segments before it are not read. `rebuild` makes lines of Parquet
    files again, else only their hashes are compared.

    Raises LogUnavailable.
    """
    LogReader(directory).tail()  # raises LogUnavailable with the way out
    try:
        return _verify(directory, head.lower(), since_ns, rebuild, progress)
    except OSError as error:
        raise LogUnavailable(
            f"cannot read {error.filename or directory}: {error.strerror}",
            "run as root or as a member of the log's group",
        ) from error


def _verify(
    directory: Path, head: str, since_ns: int | None, rebuild: Rebuild | None, progress: Progress
) -> Verdict:
    live = list_segments(directory)  # before the manifest: what is closed meanwhile is listed there
    manifest = read_manifest(directory)
    verdict = _about(manifest)
    names = _all_names(live, manifest)
    wanted = set(Window(since_ns=since_ns).wanted(names))
    forms, before = Forms(directory, manifest, verdict, rebuild, progress), Link("")
    for name, following in zip_longest(names, names[1:]):
        link = forms.check(name, before, following, wanted)
        fault = order_fault(before, name, link.boot_id)
        verdict.faults += [fault] if fault else []
        before = link
    _check_heads(directory, manifest, forms, verdict)
    _check_tombstones(directory, manifest, forms, names, verdict)
    _check_strays(directory, set(live), verdict)
    if head:
        _find(head, manifest, forms, verdict)
    return verdict


def _about(manifest: Manifest) -> Verdict:
    """What the manifest alone says."""
    verdict = Verdict(manifest_lines=len(manifest.hashes), manifest_head=manifest.head)
    verdict.last_closed = next(reversed(manifest.closed.values()), None)
    if manifest.first_bad:
        bad = manifest.first_bad
        verdict.faults.append(Fault(MANIFEST_NAME, bad.number, 0, bad.problem))
    if manifest.torn_bytes:
        torn = f"{manifest.torn_bytes} bytes after the last line"
        verdict.notes.append(f"{MANIFEST_NAME}: {torn}: it is being written, or the agent was killed")
    return verdict


def _all_names(live: list[SegmentName], manifest: Manifest) -> list[SegmentName]:
    listed = (*manifest.closed, *manifest.compacted, *manifest.expired)
    return sorted({*live, *(name for text in listed if (name := SegmentName.parse(text)))})


def _check_heads(directory: Path, manifest: Manifest, forms: Forms, verdict: Verdict) -> None:
    """Whether the manifest still holds what heartbeats have seen of it."""
    known = set(manifest.hashes) | set(read_manifest(directory).hashes)
    for name, seen in forms.heads:
        if seen.manifest not in known:
            problem = f"a line is gone or changed that heartbeat {seen.sequence} in {name} has seen"
            verdict.fault(MANIFEST_NAME, 0, 0, problem)
            return


def _check_tombstones(
    directory: Path, manifest: Manifest, forms: Forms, names: list[SegmentName], verdict: Verdict
) -> None:
    """Whether `retention` records tell of what is gone. One may be written while we look."""
    if forms.removals.judge(manifest, names)[0]:
        for name in list_segments(directory):
            if name >= names[-1]:
                look(directory, name, lambda _: None, partial(forms.removals.look, name))
    faults, notes = forms.removals.judge(manifest, names)
    verdict.faults += faults
    verdict.notes += notes


def _check_strays(directory: Path, live: set[SegmentName], verdict: Verdict) -> None:
    """Parquet files that the manifest knows nothing of: queries read them. One whose lines are there may have
    got its name just now, or just before a crash."""
    found = compacted_names(directory)
    known = read_manifest(directory)
    for name in found:
        if name not in live and str(name) not in known.compacted:
            verdict.fault(parquet_name(str(name)), 0, 0, "is not of this log: the manifest has no line of it")


def _find(head: str, manifest: Manifest, forms: Forms, verdict: Verdict) -> None:
    lines = manifest.hashes
    if head in lines:
        verdict.head_found = f"line {lines.index(head) + 1} of {len(lines)} of {MANIFEST_NAME}"
    elif head in forms.hashes:
        verdict.head_found = forms.hashes[head]
    else:
        problem = f"the head {head} is not in this log: it was cut, written anew, or is another one"
        if manifest.trims:
            problem += f" (or it is older than the {manifest.trims[-1].lines} lines that were taken out)"
        verdict.fault(MANIFEST_NAME, 0, 0, problem)
