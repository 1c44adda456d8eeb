// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who was created by whom? One record per new thread group; threads are not processes. */
#include "include/shared.h"

inline_always int on_fork(struct task_struct *creator, struct task_struct *child, enum turn turn, bool typed)
{
	struct process fresh = {}, *maker, *known;
	struct task_struct *parent, *leader;
	u32 tgid = READ(typed, child, tgid), maker_tgid;
	struct fork_record *record;
	u64 maker_ktime;

	if ((u32)READ(typed, child, pid) != tgid)
		return 0;
	fresh.image_ktime = image_ktime(child, typed);
	if (turn == TURN_AGAIN) {
		known = bpf_map_lookup_elem(&processes, &tgid);
		if (known && known->image_ktime == fresh.image_ktime)
			return 0;
		count(COUNTER_STOOD_IN + HOOK_FORK);
	}
	maker_tgid = READ(typed, creator, tgid);
	maker = bpf_map_lookup_elem(&processes, &maker_tgid);
	if (maker) {
		maker_ktime = maker->image_ktime;
		fresh.flags = maker->flags & FLAG_IN_INIT_TREE;
		fresh.cgroup_id = maker->cgroup_id;
		fresh.binary_inode = maker->binary_inode;
		fresh.binary_device = maker->binary_device;
		__builtin_memcpy(fresh.follow_set, maker->follow_set, sizeof(fresh.follow_set));
		__builtin_memcpy(fresh.policy_set, maker->policy_set, sizeof(fresh.policy_set));
	} else {
		leader = READ(typed, creator, group_leader);
		maker_ktime = image_ktime(leader, typed);
		fresh.flags = FLAG_PARENT_MISSED;
	}
	fresh.flags |= FLAG_FORKED;
	fresh.nspid = nested_pid(child, typed);
	if (fresh.nspid == 1)
		fresh.flags |= FLAG_IN_INIT_TREE;
	fresh.parent_tgid = maker_tgid;
	fresh.parent_ktime = maker_ktime;
	parent = READ(typed, child, real_parent);
	if ((u32)READ(typed, parent, tgid) != maker_tgid) { /* CLONE_PARENT */
		parent = READ(typed, parent, group_leader);
		fresh.parent_tgid = READ(typed, parent, tgid);
		fresh.parent_ktime = image_ktime(parent, typed);
	}
	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_FORK);

	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(LOSS_RING_FULL, HOOK_FORK);
		return 0;
	}
	fill_header(&record->header, RECORD_FORK, &fresh);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = tgid;
	record->header.tid = tgid;
	record->creator_tgid = fresh.parent_tgid == maker_tgid ? 0 : maker_tgid;
	record->creator_ktime = fresh.parent_tgid == maker_tgid ? 0 : maker_ktime;
	record->reserved = 0;
	bpf_ringbuf_submit(record, wake_flags(sizeof(*record)));
	count(COUNTER_SENT + HOOK_FORK);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(fork_btf, struct task_struct *creator, struct task_struct *child)
{
	return on_fork(creator, child, TURN_FIRST, true);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(fork_again, struct task_struct *creator, struct task_struct *child)
{
	return on_fork(creator, child, TURN_AGAIN, true);
}

SEC("raw_tp/sched_process_fork")
int fork_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_fork((void *)ctx->args[0], (void *)ctx->args[1], TURN_FIRST, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
