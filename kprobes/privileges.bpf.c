// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Did the executed file raise privileges? Runs between the moment the new credentials are computed and the
 * moment they are installed, and leaves flags in the process entry that exec.bpf.c sends on. */
#include "include/shared.h"

#define PRIVILEGE_FLAGS (FLAG_SETUID | FLAG_SETGID | FLAG_FILECAPS | FLAG_PRIVILEGES_KNOWN)

inline_always int on_new_credentials(struct task_struct *task, struct linux_binprm *binprm, enum turn turn, bool typed)
{
	struct cred *old = READ(typed, task, cred);
	struct cred *new = READ(typed, binprm, cred);
	struct file *file = READ(typed, binprm, file);
	struct inode *inode = READ(typed, file, f_inode);
	u32 mode = READ(typed, inode, i_mode), tgid = READ(typed, task, tgid), flags = FLAG_PRIVILEGES_KNOWN;
	u64 had = 0, has = 0;
	struct process *process = bpf_map_lookup_elem(&processes, &tgid);

	if (!process)
		return 0;
	if (turn == TURN_AGAIN) {
		if (process->flags & FLAG_PRIVILEGES_KNOWN)
			return 0;
		count(COUNTER_STOOD_IN + HOOK_PRIVILEGES);
	}
	if (mode & S_ISUID && READ(typed, new, euid.val) != READ(typed, old, euid.val))
		flags |= FLAG_SETUID;
	if (mode & S_ISGID && READ(typed, new, egid.val) != READ(typed, old, egid.val))
		flags |= FLAG_SETGID;
	had = CAPABILITIES(typed, old, cap_permitted);
	has = CAPABILITIES(typed, new, cap_permitted);
	/* a uid 0 that appears brings all capabilities by itself; that is setuid's effect, not the file's */
	if (has & ~had && !(flags & FLAG_SETUID) && READ(typed, new, euid.val) != 0)
		flags |= FLAG_FILECAPS;
	process->flags = (process->flags & ~PRIVILEGE_FLAGS) | flags;
	return 0;
}

/* Linux kernel commit 5c5fad46e48c "sched/exec: add tracepoint sched_prepare_exec" (in v6.10): called when the new
 * credentials are known and the old ones still hold. */
SEC("tp_btf/sched_prepare_exec")
int BPF_PROG(privileges_btf, struct task_struct *task, struct linux_binprm *binprm)
{
	return on_new_credentials(task, binprm, TURN_FIRST, true);
}

SEC("tp_btf/sched_prepare_exec")
int BPF_PROG(privileges_again, struct task_struct *task, struct linux_binprm *binprm)
{
	return on_new_credentials(task, binprm, TURN_AGAIN, true);
}

SEC("fentry/security_bprm_committing_creds")
int BPF_PROG(privileges_fentry, struct linux_binprm *binprm)
{
	return on_new_credentials((struct task_struct *)bpf_get_current_task(), binprm, TURN_FIRST, false);
}

SEC("lsm/bprm_committing_creds")
int BPF_PROG(privileges_lsm, struct linux_binprm *binprm)
{
	return on_new_credentials((struct task_struct *)bpf_get_current_task(), binprm, TURN_FIRST, false);
}

SEC("kprobe/security_bprm_committing_creds")
int BPF_KPROBE(privileges_kprobe, struct linux_binprm *binprm)
{
	return on_new_credentials((struct task_struct *)bpf_get_current_task(), binprm, TURN_FIRST, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
