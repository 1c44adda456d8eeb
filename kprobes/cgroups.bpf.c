// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which cgroup is a container's? Keeps a map from each cgroup of a container to the container's own, so that nested ones
 * count as their container, and tells of every cgroup that is made, ahead of the first process in it. Containers whose
 * cgroup is not named by 64 hexadecimal digits (LXC, systemd-nspawn, BuildKit) are put into the map by the reader. */
#include "include/facts.h"

#define OWNS_CONTAINER_CGROUPS
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u64);   /* id of a cgroup (kernfs_node.id, which is its inode number) */
	__type(value, u64); /* id of the container's cgroup */
} container_cgroups SEC(".maps");
#include "include/containers.h"

#define ID_LENGTH 64
#define HEAD_LENGTH 8
#define SCOPE_LENGTH 6

inline_always bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

inline_always bool ends_with_scope(const char *path, u64 length)
{
	char end[SCOPE_LENGTH];

	if (length < SCOPE_LENGTH || bpf_probe_read_kernel(end, sizeof(end), path + length - SCOPE_LENGTH))
		return false;
	return end[0] == '.' && end[1] == 's' && end[2] == 'c' && end[3] == 'o' && end[4] == 'p' && end[5] == 'e';
}

/* What stands before the id: nothing more, or a runtime's prefix. `crio-conmon-` and `libpod-conmon-` are the container's
 * monitor, which is no part of it. */
inline_always bool begins_name(const char *head)
{
	char last = head[HEAD_LENGTH - 1];

	if (last == '/')
		return true;
	if (last != '-' && last != ':')
		return false;
	return !(head[1] == 'c' && head[2] == 'o' && head[3] == 'n' && head[4] == 'm' && head[5] == 'o' &&
		 head[6] == 'n');
}

/* Whether the last component of a path is a container's name: ID, PREFIX-ID or PREFIX:ID, and `.scope` behind it. */
inline_always bool names_container(const char *path, u64 length)
{
	char id[ID_LENGTH], head[HEAD_LENGTH] = {};

	if (ends_with_scope(path, length))
		length -= SCOPE_LENGTH;
	if (length <= ID_LENGTH || bpf_probe_read_kernel(id, sizeof(id), path + length - ID_LENGTH))
		return false;
	for (int i = 0; i < ID_LENGTH; i++)
		if (!is_digit(id[i]))
			return false;
	length -= ID_LENGTH;
	if (length >= HEAD_LENGTH)
		bpf_probe_read_kernel(head, sizeof(head), path + length - HEAD_LENGTH);
	else
		bpf_probe_read_kernel(&head[HEAD_LENGTH - 1], 1, path + length - 1);
	return begins_name(head);
}

/* Of the hierarchy in which containers are looked for. On a hybrid host every directory of a container is made once in
 * each hierarchy. */
inline_always bool is_ours(struct cgroup *cgroup)
{
	struct cgroup_subsys_state *state = NULL;

	if (!config.cgroup_subsystem)
		return !BPF_CORE_READ(cgroup, root, hierarchy_id);
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)cgroup + bpf_core_field_offset(struct cgroup, subsys) +
				      (config.cgroup_subsystem - 1) * sizeof(void *));
	return state;
}

inline_always struct cgroup_record *begin_record(u64 cgroup, u64 container, enum cgroup_change change, const char *path,
						 u64 length)
{
	struct cgroup_record *record = NULL;
	u64 who = bpf_get_current_pid_tgid();

	/* what is no container's may come in floods: users can make cgroups where systemd lets them */
	if (container || bulk_admitted())
		record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(container ? LOSS_RING_FULL : LOSS_SHED, HOOK_CGROUP);
		return NULL;
	}
	__builtin_memset(&record->header, 0, sizeof(record->header));
	record->header.kind = RECORD_CGROUP;
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = who >> 32;
	record->header.tid = who;
	record->cgroup_id = cgroup;
	record->container = container;
	record->change = change;
	record->path_length = length;
	/* zeros behind the end: nothing old is sent */
	bpf_probe_read_kernel(record->path, sizeof(record->path), NULL);
	bpf_probe_read_kernel_str(record->path, sizeof(record->path), path);
	return record;
}

inline_always u64 length_of(const char *path)
{
	char text[CGROUP_PATH_BYTES / 4];
	u64 length = 0;

	for (int part = 0; part < 4; part++) {
		long read = bpf_probe_read_kernel_str(text, sizeof(text), path + length);

		if (read <= 0)
			break;
		length += read - 1;
		if (read < (long)sizeof(text))
			break;
	}
	return length;
}

inline_always int on_made(struct cgroup *cgroup, const char *path)
{
	u64 id, container, length;
	struct cgroup_record *record;

	if (!is_ours(cgroup))
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	length = length_of(path);
	if (names_container(path, length))
		container = id;
	else
		container = its_container(BPF_CORE_READ(cgroup, self.parent, cgroup, kn, id));
	if (container && bpf_map_update_elem(&container_cgroups, &id, &container, BPF_ANY))
		count_loss(LOSS_MAP_FULL, HOOK_CGROUP);
	record = begin_record(id, container, CGROUP_MADE, path, length);
	if (record) {
		bpf_ringbuf_submit(record, wake_flags(sizeof(*record)));
		count(COUNTER_SENT + HOOK_CGROUP);
	}
	return 0;
}

inline_always int on_removed(struct cgroup *cgroup, const char *path)
{
	struct cgroup_record *record;
	u64 id, container;

	if (!is_ours(cgroup))
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	container = its_container(id);
	if (!container)
		return 0;
	bpf_map_delete_elem(&container_cgroups, &id);
	record = begin_record(id, container, CGROUP_REMOVED, path, length_of(path));
	if (record) {
		bpf_ringbuf_submit(record, wake_flags(sizeof(*record)));
		count(COUNTER_SENT + HOOK_CGROUP);
	}
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(mkdir_btf, struct cgroup *cgroup, const char *path)
{
	return on_made(cgroup, path);
}

SEC("raw_tp/cgroup_mkdir")
int mkdir_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_made((void *)ctx->args[0], (void *)ctx->args[1]);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(rmdir_btf, struct cgroup *cgroup, const char *path)
{
	return on_removed(cgroup, path);
}

SEC("raw_tp/cgroup_rmdir")
int rmdir_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_removed((void *)ctx->args[0], (void *)ctx->args[1]);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
