// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What was executed, with which arguments, by whom and from where? One record per successful exec; argument
 * lists and environments too long for it go ahead of it in chunks. */
#include "include/containers.h"
#include "include/facts.h"
#include "include/path.h"

#define INLINE_BYTES 4096 /* longest argument list or environment inside the record */
#define CHUNKS_ROUND 16
#define CHUNK_ROUNDS 17 /* 2 MiB and a little: more than the kernel's own limit of an argument list */
#define CGROUP_NAME_BYTES 128
/* execveat(2) puts "/dev/fd/N/" before a name */
#define FILENAME_BYTES (PATH_BYTES + 32)

enum path_way { WAY_CAST, WAY_READ };

inline_always u32 append_string(struct scratch *scratch, const void *string, u32 most)
{
	u64 at = scratch->position;
	long length;

	barrier_value(at);
	at &= TAIL_MASK;
	length = bpf_probe_read_kernel_str(&scratch->tail[at], most, string);
	if (length <= 1)
		return 0;
	scratch->position = at + length - 1;
	return length - 1;
}

inline_always u32 append_path(struct scratch *scratch, struct path *path, struct path *root, enum path_way way,
			      bool typed)
{
	u32 start = scratch->position;

	scratch->walk.limit = start + PATH_BYTES;
	scratch->walk.done = WALK_GOING;
	scratch->walk.root_dentry = (u64)READ(typed, root, dentry);
	scratch->walk.root_mount = (u64)READ(typed, root, mnt);
	if (way == WAY_CAST) {
		walk_typed(scratch, path, root);
	} else {
		scratch->walk.dentry = (u64)READ(typed, path, dentry);
		scratch->walk.mount = (u64)READ(typed, path, mnt);
	}
	for (int i = 0; i < WALK_ROUNDS && !scratch->walk.done; i++)
		walk_more(scratch->slot);
	return scratch->position - start;
}

inline_always u32 append_user(struct scratch *scratch, u64 from, u64 length)
{
	u64 at = scratch->position;

	barrier_value(at);
	at &= TAIL_MASK;
	barrier_value(length);
	if (length > INLINE_BYTES)
		length = INLINE_BYTES;
	if (bpf_probe_read_user(&scratch->tail[at], length, (const void *)from))
		return 0;
	scratch->position = at + length;
	return length;
}

/* Sends the next CHUNKS_ROUND chunks of the block in scratch. A global function, so that the verifier sees
 * it once and not once for every chunk of the longest block. */
__attribute__((noinline)) int send_more(u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&exec_scratch, &slot);
	struct chunk_record *chunk;
	u64 at, left;

	if (!scratch)
		return 0;
	for (int i = 0; i < CHUNKS_ROUND; i++) {
		at = (u64)scratch->chunks.next * CHUNK_BYTES;
		if (at >= scratch->chunks.length)
			return 0;
		left = scratch->chunks.length - at;
		scratch->chunks.next++;
		if (!bulk_admitted()) {
			count_loss(LOSS_SHED, HOOK_CHUNK);
			continue;
		}
		chunk = bpf_ringbuf_reserve(&events, sizeof(*chunk), 0);
		if (!chunk) {
			count_loss(LOSS_RING_FULL, HOOK_CHUNK);
			continue;
		}
		chunk->header = scratch->record.header;
		chunk->header.kind = RECORD_CHUNK;
		chunk->stream = scratch->chunks.stream;
		chunk->index = scratch->chunks.next - 1;
		barrier_value(left);
		if (left > CHUNK_BYTES)
			left = CHUNK_BYTES;
		else /* what cannot be read is filled with zeros: nothing old stands behind the end */
			bpf_probe_read_kernel(chunk->data, CHUNK_BYTES, NULL);
		if (bpf_probe_read_user(chunk->data, left, (const void *)(scratch->chunks.from + at)))
			left = 0;
		chunk->length = left;
		bpf_ringbuf_submit(chunk, wake_flags(sizeof(*chunk)));
		count(COUNTER_SENT + HOOK_CHUNK);
	}
	return 0;
}

/* Sends a long block ahead of the exec record, as bulk: a flood of huge argument lists must not push out
 * the life cycle. Returns the number of chunks there should be; those refused are counted and missed by the
 * reader, who flags them. */
inline_always u32 send_chunks(struct scratch *scratch, u64 from, u64 length, enum chunk_stream stream)
{
	scratch->chunks.from = from;
	scratch->chunks.length = length;
	scratch->chunks.next = 0;
	scratch->chunks.stream = stream;
	for (int i = 0; i < CHUNK_ROUNDS && (u64)scratch->chunks.next * CHUNK_BYTES < length; i++)
		send_more(scratch->slot);
	return scratch->chunks.next;
}

inline_always void add_arguments(struct scratch *scratch, struct mm_struct *mm, bool typed)
{
	struct exec_record *record = &scratch->record;
	u64 from = READ(typed, mm, arg_start), length = READ(typed, mm, arg_end) - from;

	record->arguments_bytes = length;
	if (length <= INLINE_BYTES) {
		record->arguments_length = append_user(scratch, from, length);
		if (length && !record->arguments_length)
			record->header.flags |= FLAG_ARGUMENTS_FAULT;
		return;
	}
	if (length > config.arguments_bytes) {
		length = config.arguments_bytes;
		record->header.flags |= FLAG_ARGUMENTS_CUT;
	}
	record->arguments_chunks = send_chunks(scratch, from, length, STREAM_ARGUMENTS);
}

inline_always void add_environment(struct scratch *scratch, struct mm_struct *mm, bool typed)
{
	struct exec_record *record = &scratch->record;
	u64 from, length;

	if (!config.environment_bytes)
		return;
	from = READ(typed, mm, env_start);
	length = READ(typed, mm, env_end) - from;
	record->environment_bytes = length;
	if (length > config.environment_bytes) {
		length = config.environment_bytes;
		record->header.flags |= FLAG_ENVIRONMENT_CUT;
	}
	/* behind the longest possible paths and arguments there is no room in the record */
	if (length <= INLINE_BYTES && scratch->position <= TAIL_MASK)
		record->environment_length = append_user(scratch, from, length);
	else
		record->environment_chunks = send_chunks(scratch, from, length, STREAM_ENVIRONMENT);
}

inline_always void add_paths(struct scratch *scratch, struct task_struct *task, struct file *file, enum path_way way,
			     bool typed)
{
	struct exec_record *record = &scratch->record;
	struct fs_struct *fs = READ(typed, task, fs);

	record->exe_length = append_path(scratch, &file->f_path, &fs->root, way, typed);
	if (scratch->walk.done == WALK_UNREACHABLE)
		record->header.flags |= FLAG_EXE_UNREACHABLE;
	else if (scratch->walk.done != WALK_ROOT)
		record->header.flags |= FLAG_EXE_CUT;
	record->cwd_length = append_path(scratch, &fs->pwd, &fs->root, way, typed);
	if (scratch->walk.done == WALK_UNREACHABLE)
		record->header.flags |= FLAG_CWD_UNREACHABLE;
	else if (scratch->walk.done != WALK_ROOT)
		record->header.flags |= FLAG_CWD_CUT;
}

inline_always void add_file(struct exec_record *record, struct file *file, bool typed)
{
	struct inode *inode = READ(typed, file, f_inode);
	struct super_block *super = READ(typed, inode, i_sb);

	record->inode_number = READ(typed, inode, i_ino);
	record->inode_links = READ(typed, inode, i_nlink);
	record->inode_device = READ(typed, super, s_dev);
}

#define EXEC_ONLY_FLAGS (FLAG_SETUID | FLAG_SETGID | FLAG_FILECAPS | FLAG_PRIVILEGES_KNOWN | FLAG_PARENT_MISSED)

/* The image that begins: a first exec keeps the parent that fork gave; an exec without a fork between has the
 * image before as its parent, as Tetragon defines it. The entry is changed in place: of an executing process
 * only one thread is left. */
inline_always void renew_image(struct process *known, u32 tgid, u64 ktime)
{
	if (known->flags & FLAG_EXECED) {
		known->parent_tgid = tgid;
		known->parent_ktime = known->image_ktime;
		known->flags &= ~FLAG_FORKED;
	}
	known->image_ktime = ktime;
	known->flags |= FLAG_EXECED;
}

inline_always void add_unknown_image(struct exec_record *record, struct task_struct *task, u32 tgid, bool typed)
{
	struct process fresh = {};

	identify(&fresh, task, typed);
	fresh.flags |= FLAG_EXECED;
	fresh.binary_inode = record->inode_number;
	fresh.binary_device = record->inode_device;
	fresh.cgroup_id = its_container(record->facts.cgroup_id);
	fill_header(&record->header, RECORD_EXEC, &fresh);
	fresh.flags &= ~EXEC_ONLY_FLAGS;
	if (bpf_map_update_elem(&processes, &tgid, &fresh, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_EXEC);
}

inline_always void begin_image(struct exec_record *record, struct process *known, struct task_struct *task, u32 tgid,
			       bool typed)
{
	if (!known) {
		add_unknown_image(record, task, tgid, typed);
		return;
	}
	fill_header(&record->header, RECORD_EXEC, known);
	known->binary_inode = record->inode_number;
	known->binary_device = record->inode_device;
	known->flags &= ~EXEC_ONLY_FLAGS;
	enter_container(known, record->facts.cgroup_id);
}

inline_always void send_exec(struct scratch *scratch)
{
	u64 size = sizeof(struct exec_record) + scratch->position;

	barrier_value(size);
	if (size > sizeof(struct exec_record) + TAIL_SPACE)
		return;
	if (bpf_ringbuf_output(&events, &scratch->record, size, wake_flags(size)))
		count_loss(LOSS_RING_FULL, HOOK_EXEC);
	else
		count(COUNTER_SENT + HOOK_EXEC);
}

inline_always int on_exec(struct task_struct *task, struct linux_binprm *binprm, enum path_way way, enum turn turn,
			  bool typed)
{
	u32 tgid = READ(typed, task, tgid), slot = turn;
	struct scratch *scratch = bpf_map_lookup_elem(&exec_scratch, &slot);
	struct file *file = READ(typed, binprm, file);
	struct exec_record *record;
	struct mm_struct *mm;
	struct cgroup *cgroup;
	struct process *known = bpf_map_lookup_elem(&processes, &tgid);
	u64 ktime = image_ktime(READ(typed, task, group_leader), typed);

	if (turn == TURN_AGAIN) {
		if (!known || known->image_ktime == ktime)
			return 0;
		count(COUNTER_STOOD_IN + HOOK_EXEC);
	}
	if (known)
		renew_image(known, tgid, ktime);
	if (!scratch || scratch->busy) {
		count_loss(LOSS_SCRATCH_BUSY, HOOK_EXEC);
		return 0;
	}
	scratch->busy = 1;
	scratch->slot = slot;
	scratch->position = 0;
	record = &scratch->record;
	add_file(record, file, typed);
	cgroup = container_cgroup(task, typed);
	read_facts(&record->facts, task, cgroup, typed);
	begin_image(record, known, task, tgid, typed);
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = tgid;
	record->header.tid = tgid;
	record->argc = READ(typed, binprm, argc);
	record->arguments_bytes = record->environment_bytes = 0;
	record->arguments_length = record->environment_length = 0;
	record->arguments_chunks = record->environment_chunks = 0;
	record->filename_length = append_string(scratch, READ(typed, binprm, filename), FILENAME_BYTES);
	if (record->filename_length == FILENAME_BYTES - 1)
		record->header.flags |= FLAG_FILENAME_CUT;
	record->cgroup_length = append_string(scratch, cgroup_name(cgroup, typed), CGROUP_NAME_BYTES);
	add_paths(scratch, task, file, way, typed);
	mm = READ(typed, task, mm);
	if (mm) {
		add_arguments(scratch, mm, typed);
		add_environment(scratch, mm, typed);
	}
	send_exec(scratch);
	scratch->busy = 0;
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_btf, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	return on_exec(task, binprm, WAY_CAST, TURN_FIRST, true);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_again, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	return on_exec(task, binprm, WAY_CAST, TURN_AGAIN, true);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec_btf_read, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	return on_exec(task, binprm, WAY_READ, TURN_FIRST, true);
}

SEC("raw_tp/sched_process_exec")
int exec_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_exec((void *)ctx->args[0], (void *)ctx->args[2], WAY_READ, TURN_FIRST, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
