/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of a hook's program share: its constants, and the maps of all policies (policies.bpf.c). */
#pragma once

#include "shared.h"
#include "states.h"

extern const volatile struct shape shape SEC(".rodata.shape");

#define SHARED_MAP(name, kind, entries, key_type, value_type) \
	extern struct {                                       \
		__uint(type, kind);                           \
		__uint(max_entries, entries);                 \
		__type(key, key_type);                        \
		__type(value, value_type);                    \
	} name SEC(".maps")

SHARED_MAP(hook_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, SCRATCH_SLOTS, u32, struct hook_scratch);
SHARED_MAP(verdicts, BPF_MAP_TYPE_PERCPU_ARRAY, SCRATCH_SLOTS, u32, struct verdict);
SHARED_MAP(epoch, BPF_MAP_TYPE_ARRAY, 1, u32, struct epoch);
SHARED_MAP(policies, BPF_MAP_TYPE_ARRAY, POLICY_SLOTS, u32, struct policy_state);
SHARED_MAP(calls, BPF_MAP_TYPE_LRU_HASH, 1024, struct call_key, struct call);
SHARED_MAP(kept_texts, BPF_MAP_TYPE_LRU_HASH, 1, struct call_key, struct kept);
SHARED_MAP(kept_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct kept);
SHARED_MAP(rate_limits, BPF_MAP_TYPE_LRU_HASH, 1024, struct rate_key, struct rate);
SHARED_MAP(throttles, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct throttle);
SHARED_MAP(sockets, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct owner);
SHARED_MAP(enforcements, BPF_MAP_TYPE_LRU_HASH, 1024, struct enforcement_key, struct enforcement);

extern struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exec_state);
} exec_states SEC(".maps");
