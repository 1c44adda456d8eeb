/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* To which container a cgroup belongs. */
#pragma once

#include "shared.h"

#ifndef OWNS_CONTAINER_CGROUPS /* cgroups.bpf.c */
extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, u64);
} container_cgroups SEC(".maps");
#endif

/* The container's cgroup, 0 outside of containers. */
inline_always u64 its_container(u64 cgroup)
{
	u64 *container = bpf_map_lookup_elem(&container_cgroups, &cgroup);

	return container ? *container : 0;
}

/* A process is its container's from the first program on that it executes in the container's cgroup: until then it is the
 * runtime, which only prepares it. Who was born in a container stays its process in any cgroup of the host. */
inline_always void enter_container(struct process *process, u64 cgroup)
{
	u64 container = its_container(cgroup);

	if (container)
		process->cgroup_id = container;
}
