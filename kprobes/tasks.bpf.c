// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which processes were there before us, and what are their kernel identities? Run once at start, after the
 * life-cycle programs are attached: one task_record per thread group, and an entry in the process map for
 * each that is not there yet. */
#include "include/containers.h"
#include "include/facts.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct task_record);
} task_scratch SEC(".maps");

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process process = {}, *known;
	struct task_record *record;
	u32 zero = 0, tgid;

	if (!task || task->pid != task->tgid || task->signal->live.counter == 0)
		return 0;
	record = bpf_map_lookup_elem(&task_scratch, &zero);
	if (!record)
		return 0;
	tgid = task->tgid;
	identify(&process, task, true);
	process.flags = FLAG_EXECED;
	if (process.nspid == 1)
		process.flags |= FLAG_IN_INIT_TREE;
	if (task->flags & PF_KTHREAD)
		process.flags |= FLAG_KERNEL_THREAD;
	process.cgroup_id = its_container(cgroup_id(container_cgroup(task, true), true));
	bpf_map_update_elem(&processes, &tgid, &process, BPF_NOEXIST);
	known = bpf_map_lookup_elem(&processes, &tgid);
	if (known && !known->cgroup_id) /* it began before its cgroup was told of */
		known->cgroup_id = process.cgroup_id;
	if (task->signal->live.counter == 0) { /* it ended meanwhile: its exit may have found no entry */
		bpf_map_delete_elem(&processes, &tgid);
		return 0;
	}
	fill_header(&record->header, RECORD_TASK, &process);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = tgid;
	record->header.tid = tgid;
	read_facts(&record->facts, task, container_cgroup(task, true), true);
	record->comm_reserved[0] = record->comm_reserved[1] = 0;
	bpf_seq_write(ctx->meta->seq, record, sizeof(*record));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
