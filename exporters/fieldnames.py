# SPDX-License-Identifier: Apache-2.0
"""Names of all fields that events have, so that a field filter with a slip of the pen is refused.

One that is meant to keep something out must not let it through.

From tetragon/events.proto and what it includes; a test compares the list with the interface that the agent
serves.
"""

from __future__ import annotations

from difflib import get_close_matches

from agent.log.filters import Refused

NAMES = frozenset(
    """
    Config InsnCnt Key KeySize KprobeFunc MapName MapType MaxEntries Message ProbeOffset ProgName
    ProgType Type Value ValueSize abi action addr address ancestors arg0 arg1 arg2 arg3 args arguments
    auid binary binary_properties bpf_attr_arg bpf_cmd_arg bpf_map_arg bpf_prog_arg buildid bytes_arg
    cap cap_effective_arg cap_inheritable_arg cap_permitted_arg capability_arg caps cgroup container
    cookie cred_arg cwd daddr data docker dport effective egid environment_variables error_arg euid
    event exec_id family file file_arg flags fsgid fsuid function_name gid group hash id ima_hash image
    in_init_tree inheritable inode int_arg inum ipc is_host kernel_cap_t_arg kernel_stack_trace key
    label len level links linux_binprm_arg long_arg mark maybe_exec_probe message mnt module module_arg
    mount name namespace nanos net net_dev_arg ns number number_of_dropped_process_events offset
    orig_size owner parent parent_exec_id path path_arg perf_event_arg permission permitted pid
    pid_for_children pod pod_annotations pod_labels policy_name port priority privileged
    privileges_changed process process_credentials process_credentials_arg proto protocol provider
    ref_ctr_offset refcnt return return_action saddr sec_path_len sec_path_olen seconds securebits
    security_context setgid setuid sgid signal signature_ok size_arg skb_arg sock_arg sockaddr_arg
    sockaddrun_arg sport start_time state status string_arg subsys suid symbol syscall_id tags tainted
    tid time time_for_children truncated_bytes_arg type uid uint_arg user user_namespace_arg user_ns
    user_ns_arg user_stack_trace uts value workload workload_kind
    """.split()  # noqa: SIM905  (174 names, as a paragraph)
)
_BY_PLAIN = {name.replace("_", ""): name for name in NAMES}


def known_name(written: str, path: str) -> str:
    """The field's name; `exec_id`, `execId` and `ExecId` are the same. Raises Refused when there is none."""
    plain = written.replace("_", "").lower()
    if plain not in _BY_PLAIN:
        near = get_close_matches(plain, _BY_PLAIN, 1)
        hint = f"; did you mean {_BY_PLAIN[near[0]]}?" if near else ""
        raise Refused(f"no event has the field {written!r} (in {path!r}){hint}")
    return _BY_PLAIN[plain]
