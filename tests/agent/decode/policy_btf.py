# SPDX-License-Identifier: Apache-2.0
"""Types of kprobes/include/policy.h as the compiler lays them out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agent.kernel.btf import Btf
from agent.kernel.objects import BpfObject

INCLUDE = Path(__file__).resolve().parents[3] / "kprobes" / "include"
STRUCTS = (
    "hook_record", "hook_data", "match", "sent_value", "sent_path", "sent_sock", "sent_skb", "sent_sockaddr",
    "sent_cred", "sent_user_ns", "sent_bpf_attr", "sent_bpf_map", "sent_perf_event", "sent_module",
)  # fmt: skip
ENUMS = ("value_type", "sent_status", "action_flags")


def policy_btf(directory: Path) -> Btf:
    """Compiles a file that uses every type once."""
    members = [f"struct {name} s{n};" for n, name in enumerate(STRUCTS)]
    members += [f"enum {name} e{n};" for n, name in enumerate(ENUMS)]
    source = f"""
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned u32; typedef unsigned long long u64;
#include "wire.h"
#include "policy.h"
struct all {{ {" ".join(members)} }} all;
"""
    (directory / "policy.bpf.c").write_text(source)
    command = ["clang", "-target", "bpf", "-g", "-O2", f"-I{INCLUDE}", "-c", "policy.bpf.c"]
    subprocess.run([*command, "-o", "policy.bpf.o"], cwd=directory, check=True)
    return BpfObject(str(directory / "policy.bpf.o")).btf()
