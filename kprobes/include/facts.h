/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading a task's credentials, namespaces, cgroup, session and terminal, at exec and by the iterator alike. */
#pragma once

#include "shared.h"

inline_always struct cgroup *container_cgroup(struct task_struct *task, bool typed)
{
	struct css_set *set = READ(typed, task, cgroups);
	struct cgroup_subsys_state *state = NULL;
	struct cgroup *cgroup = NULL;

	if (!config.cgroup_subsystem)
		return READ(typed, set, dfl_cgrp);
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(struct css_set, subsys) +
				      (config.cgroup_subsystem - 1) * sizeof(void *));
	bpf_core_read(&cgroup, sizeof(cgroup), &state->cgroup);
	return cgroup;
}

inline_always u64 cgroup_id(struct cgroup *cgroup, bool typed)
{
	u64 id = 0;

	if (typed && !config.cgroup_subsystem)
		return cgroup->kn->id;
	BPF_CORE_READ_INTO(&id, cgroup, kn, id);
	return id;
}

inline_always const char *cgroup_name(struct cgroup *cgroup, bool typed)
{
	if (typed && !config.cgroup_subsystem)
		return cgroup->kn->name;
	return BPF_CORE_READ(cgroup, kn, name);
}

inline_always u32 group_pid(struct signal_struct *signal, u32 type, bool typed)
{
	struct pid *pid = NULL;

	if (typed)
		pid = signal->pids[type];
	else
		bpf_core_read(&pid, sizeof(pid), &signal->pids[type]);
	return pid ? READ(typed, pid, numbers[0].nr) : 0;
}

#define INUM(typed, space)                                 \
	({                                                 \
		typeof(space) space_ = (space);            \
		space_ ? READ(typed, space_, ns.inum) : 0; \
	})

/* The innermost pid namespace of a pid; that of the host can be read directly. */
inline_always u32 own_pid_namespace(struct pid *pid, bool typed)
{
	u32 level = READ(typed, pid, level);
	struct pid_namespace *own = NULL;

	if (!level)
		return INUM(typed, READ(typed, pid, numbers[0].ns));
	if (level <= 32)
		bpf_probe_read_kernel(&own, sizeof(own),
				      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					      level * bpf_core_type_size(struct upid) +
					      bpf_core_field_offset(struct upid, ns));
	return own ? BPF_CORE_READ(own, ns.inum) : 0;
}

inline_always void read_namespaces(struct task_facts *facts, struct task_struct *task, struct cred *cred, bool typed)
{
	struct nsproxy *spaces = READ(typed, task, nsproxy);
	struct pid *pid = READ(typed, task, thread_pid);
	facts->ns[NS_USER] = INUM(typed, READ(typed, cred, user_ns));
	if (pid)
		facts->ns[NS_PID] = own_pid_namespace(pid, typed);
	if (!spaces)
		return;
	facts->ns[NS_UTS] = INUM(typed, READ(typed, spaces, uts_ns));
	facts->ns[NS_IPC] = INUM(typed, READ(typed, spaces, ipc_ns));
	facts->ns[NS_MNT] = INUM(typed, READ(typed, spaces, mnt_ns));
	facts->ns[NS_PID_CHILDREN] = INUM(typed, READ(typed, spaces, pid_ns_for_children));
	facts->ns[NS_NET] = INUM(typed, READ(typed, spaces, net_ns));
	facts->ns[NS_TIME] = INUM(typed, READ(typed, spaces, time_ns));
	facts->ns[NS_TIME_CHILDREN] = INUM(typed, READ(typed, spaces, time_ns_for_children));
	facts->ns[NS_CGROUP] = INUM(typed, READ(typed, spaces, cgroup_ns));
}

inline_always void read_credentials(struct task_facts *facts, struct cred *cred, bool typed)
{
	facts->uid = READ(typed, cred, uid.val);
	facts->gid = READ(typed, cred, gid.val);
	facts->euid = READ(typed, cred, euid.val);
	facts->egid = READ(typed, cred, egid.val);
	facts->suid = READ(typed, cred, suid.val);
	facts->sgid = READ(typed, cred, sgid.val);
	facts->fsuid = READ(typed, cred, fsuid.val);
	facts->fsgid = READ(typed, cred, fsgid.val);
	facts->securebits = READ(typed, cred, securebits);
	facts->cap_inheritable = CAPABILITIES(typed, cred, cap_inheritable);
	facts->cap_permitted = CAPABILITIES(typed, cred, cap_permitted);
	facts->cap_effective = CAPABILITIES(typed, cred, cap_effective);
	facts->cap_ambient = CAPABILITIES(typed, cred, cap_ambient);
}

inline_always void read_facts(struct task_facts *facts, struct task_struct *task, struct cgroup *cgroup, bool typed)
{
	struct cred *cred = READ(typed, task, cred);
	struct signal_struct *signal = READ(typed, task, signal);
	struct tty_struct *tty = READ(typed, signal, tty);

	__builtin_memset(facts, 0, sizeof(*facts));
	read_credentials(facts, cred, typed);
	read_namespaces(facts, task, cred, typed);
	facts->auid = -1;
	if (bpf_core_field_exists(task->loginuid))
		facts->auid = READ(typed, task, loginuid.val);
	facts->cgroup_id = cgroup_id(cgroup, typed);
	facts->sid = group_pid(signal, PIDTYPE_SID, typed);
	facts->pgid = group_pid(signal, PIDTYPE_PGID, typed);
	if (tty)
		bpf_probe_read_kernel_str(facts->tty, sizeof(facts->tty),
					  (void *)tty + bpf_core_field_offset(struct tty_struct, name));
}
