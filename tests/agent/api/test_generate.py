# SPDX-License-Identifier: Apache-2.0
"""The interface: ours equals the published one, and what is committed equals our sources."""

import importlib
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from agent.api.generate import PACKAGES, ROOT, adapt, compile_into, sources

LABELS = {1: "optional", 2: "required", 3: "repeated"}


def committed(source: Path) -> descriptor_pb2.FileDescriptorProto:
    """The description inside a committed module."""
    module = importlib.import_module(f"agent.api.proto.{source.parent}.{source.stem}_pb2")
    found = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(found)
    return found


def described(made: Path) -> descriptor_pb2.FileDescriptorProto:
    """The description inside a generated module, which is not imported."""
    (start,) = (line for line in made.read_text().splitlines() if "AddSerializedFile(" in line)
    serialized = eval(start.partition("AddSerializedFile(")[2][:-1])
    return descriptor_pb2.FileDescriptorProto.FromString(serialized)


def test_the_committed_modules_say_what_the_sources_say(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    compile_into(tmp_path)
    for source in sources():
        made = tmp_path / source.parent / f"{source.stem}_pb2.py"
        assert committed(source) == described(made), f"{source} changed: run python -m agent.api.generate"


def test_every_source_has_its_modules() -> None:
    stems = {str(source.with_suffix("")) for source in sources()}
    for ending in ("_pb2.py", "_pb2.pyi"):
        made = {str(path.relative_to(ROOT)) for path in ROOT.glob(f"*/*{ending}")}
        assert made == {f"{stem}{ending}" for stem in stems}
    assert {source.parent.name for source in sources()} == set(PACKAGES)


def test_generated_code_is_adapted_to_this_package() -> None:
    text = """from google.protobuf import runtime_version as _runtime_version
_runtime_version.ValidateProtobufRuntimeVersion(
    _runtime_version.Domain.PUBLIC,
    7,
)
from google.protobuf import any_pb2
from tetragon import bpf_pb2 as tetragon_dot_bpf__pb2
"""
    assert adapt(text).splitlines()[2:] == [
        "from google.protobuf import any_pb2",
        "from agent.api.proto.tetragon import bpf_pb2 as tetragon_dot_bpf__pb2",
    ]


def test_names_and_numbers_are_the_published_ones() -> None:
    published = (Path(__file__).parent / "published.txt").read_text().splitlines()
    ours = sorted(
        fact for source in sources() if source.parent.name == "tetragon" for fact in facts(committed(source))
    )
    assert ours == sorted(published)


def facts(file: descriptor_pb2.FileDescriptorProto) -> list[str]:
    """One line per name that stands on the wire or in its JSON."""
    found = []
    for enum in file.enum_type:
        found += [f"tetragon.{enum.name}.{value.name} {value.number}" for value in enum.value]
    for message in file.message_type:
        found += facts_of(message, "tetragon.")
    for service in file.service:
        for method in service.method:
            kinds = f"{method.input_type[1:]} {method.output_type[1:]}"
            shape = "stream" if method.server_streaming else "unary"
            found.append(f"tetragon.{service.name}.{method.name} {kinds} {shape}")
    return found


def facts_of(message: descriptor_pb2.DescriptorProto, prefix: str) -> list[str]:
    name = prefix + message.name
    found = []
    for member in message.field:
        kind = member.type_name[1:] or FieldDescriptorProto.Type.Name(member.type)[5:].lower()
        in_oneof = member.HasField("oneof_index") and not member.proto3_optional
        oneof = message.oneof_decl[member.oneof_index].name if in_oneof else "-"
        found.append(f"{name}.{member.name} {member.number} {LABELS[member.label]} {kind} {oneof}")
    for inner in message.nested_type:
        found += facts_of(inner, name + ".")
    return found
