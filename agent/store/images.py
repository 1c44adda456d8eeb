# SPDX-License-Identifier: Apache-2.0
"""Process objects of a row group to columns, all of them at once. Needs pyarrow (extra `store`)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from agent.store.again import joined, process_texts, quoted
from agent.store.split import CUT

_TEXT, _NUMBER = pa.string(), pa.int64()
_IMAGE = pa.struct([("name", _TEXT)])
_CONTAINER = pa.struct([("id", _TEXT), ("image", _IMAGE)])
_POD = pa.struct([("namespace", _TEXT), ("name", _TEXT), ("container", _CONTAINER), ("workload", _TEXT)])
_FIELDS = pa.schema(
    [
        ("exec_id", _TEXT), ("pid", _NUMBER), ("uid", _NUMBER), ("cwd", _TEXT), ("binary", _TEXT),
        ("arguments", _TEXT), ("flags", _TEXT), ("start_time", _TEXT), ("auid", _NUMBER), ("docker", _TEXT),
        ("parent_exec_id", _TEXT), ("tid", _NUMBER), ("in_init_tree", pa.bool_()), ("pod", _POD),
    ]
)  # fmt: skip
"""What is read of a process (docs/architecture.md); other fields are passed over."""
_RUNTIME = r"(?s)^.*?://"
"""Runtimes write `containerd://` before a container's id."""


def images(jsons: Sequence[bytes], above: Sequence[bytes]) -> dict[str, pa.Array]:
    """The columns of `schema.PROCESS`, `process_form`, and `start_time` as it stands there. `above` are the
    `parent_exec_id` of each as they stand there.

    The form is the whole text where the columns would not give the text back, or where another process with
    the same exec_id stands before it. Of what is no process object all other columns are null.
    """
    table = _parsed(jsons)
    fields = {name: table.column(name).combine_chunks() for name in table.column_names}
    found = {"pid": fields["pid"], "uid": fields["uid"], "auid": fields["auid"]}
    texts = {
        "exec_id": "exec_id",
        "exe": "binary",
        "args": "arguments",
        "cwd": "cwd",
    }
    found |= {name: fields[field].dictionary_encode() for name, field in texts.items()}
    found["parent_exec_id"] = pa.array(above, pa.binary()).cast(_TEXT).dictionary_encode()
    found |= {
        name: array.dictionary_encode() for name, array in _workload(fields["pod"], fields["docker"]).items()
    }
    found["process_form"] = _forms(found, fields, pa.array(jsons, pa.binary()))
    return found | {"start_time": fields["start_time"]}


def _parsed(jsons: Sequence[bytes]) -> pa.Table:
    """One row per object; what is none is looked for by halves."""
    text = b"\n".join(jsons)
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(explicit_schema=_FIELDS, unexpected_field_behavior="ignore"),
        )
        if len(table) == len(jsons):
            return table
    except pa.ArrowException:
        pass
    if len(jsons) <= 1:
        return _FIELDS.empty_table() if not jsons else pa.Table.from_pylist([{}], _FIELDS)
    half = len(jsons) // 2
    return pa.concat_tables([_parsed(jsons[:half]), _parsed(jsons[half:])])


def _workload(pod: pa.Array, docker: pa.Array) -> dict[str, pa.Array]:
    """container, image, namespace, pod, workload, as `flat.flatten` tells them."""
    nothing = pa.nulls(len(pod), _TEXT)
    if pod.null_count == len(pod):
        return {"container": docker, **dict.fromkeys(("image", "namespace", "pod", "workload"), nothing)}
    container = pc.struct_field(pod, "container")
    identity = pc.struct_field(container, "id")
    identity = pc.if_else(pc.equal(identity, ""), nothing, identity)
    identity = pc.replace_substring_regex(pc.coalesce(identity, docker), _RUNTIME, "")
    return {
        "container": pc.if_else(pc.is_valid(pod), identity, docker),
        "image": pc.struct_field(pc.struct_field(container, "image"), "name"),
        **{
            name: pc.struct_field(pod, field) for name, field in (("namespace", "namespace"), ("pod", "name"))
        },
        "workload": pc.struct_field(pod, "workload"),
    }


def _forms(columns: dict[str, pa.Array], fields: dict[str, pa.Array], texts: pa.Array) -> pa.Array:
    """What the columns do not tell: flags and start, thread and tree; or the whole text."""
    before = joined([_member("flags", fields["flags"]), _member("start_time", fields["start_time"])])
    tree = pc.if_else(fields["in_init_tree"], ',"in_init_tree":true}', ',"in_init_tree":false}')
    after = joined([fields["tid"].cast(_TEXT).cast(pa.binary()), tree.cast(pa.binary())])
    is_same = pc.fill_null(pc.equal(process_texts(columns, before, after), texts), False)
    is_first = _is_first(columns["exec_id"].indices)
    forms = joined([before, pa.scalar(CUT.encode(), pa.binary()), after])
    return pc.if_else(pc.and_(is_same, is_first), forms, texts).cast(_TEXT).dictionary_encode()


def _member(name: str, column: pa.Array) -> pa.Array:
    """A text that may be absent, with its name."""
    named = joined(
        [
            pa.scalar(f',"{name}":"'.encode(), pa.binary()),
            quoted(column).cast(pa.binary()),
            pa.scalar(b'"', pa.binary()),
        ]
    )
    return pc.if_else(pc.is_valid(column), named, pa.scalar(b"", pa.binary()))


def _is_first(ids: pa.Array) -> pa.Array:
    """Which rows are the first of their word; words are numbered as they come, null comes once at most."""
    highest = pc.cumulative_max(pc.fill_null(ids, -1))
    later = (
        pc.not_equal(highest.slice(1), highest.slice(0, len(ids) - 1))
        if len(ids)
        else highest.cast(pa.bool_())
    )
    return pa.concat_arrays([pa.array([True] if len(ids) else [], pa.bool_()), later])
