// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The smallest hook programs that keep the contract of policy.h: each counts a call for every selector of its own
 * maps that the epoch allows. For tests of attaching and changing; compiled by them. */
#include "include/kernel.h"
#include "include/wire.h"
#include "include/policy.h"
#include "include/epochs.h"

struct epoch {
	u64 now, reserved[3];
};
const volatile struct shape shape SEC(".rodata.shape") = {};
#define MAP(name, kind, entries, key_type, value_type) \
	struct {                                       \
		__uint(type, kind);                    \
		__uint(max_entries, entries);          \
		__type(key, key_type);                 \
		__type(value, value_type);             \
	} name SEC(".maps")
MAP(epoch, BPF_MAP_TYPE_ARRAY, 1, u32, struct epoch);
MAP(selectors, BPF_MAP_TYPE_ARRAY, HOOK_SELECTORS, u32, struct selector);
MAP(selector_counts, BPF_MAP_TYPE_ARRAY, HOOK_SELECTORS, u32, struct selector_count);
MAP(integers, BPF_MAP_TYPE_HASH, 1, struct integer_key, struct set);

static const volatile u32 steps[4] = {0, 1, 7, 9}; /* lies in .rodata */

static inline int judge(void)
{
	u32 step = steps[shape.words & 3];
	u32 zero = 0;
	struct epoch *switched = bpf_map_lookup_elem(&epoch, &zero);
	struct integer_key key = {};
	u64 now;

	if (!switched)
		return 0;
	now = *(volatile u64 *)&switched->now;
	bpf_map_lookup_elem(&integers, &key);
#pragma unroll
	for (u32 number = 0; number < 4; number++) {
		u32 bit = number;
		struct selector *selector = bpf_map_lookup_elem(&selectors, &bit);
		struct selector_count *count = bpf_map_lookup_elem(&selector_counts, &bit);

		if (selector && count && counts_in(selector, now))
			__sync_fetch_and_add(&count->matched, step);
	}
	if (shape.values == 99) /* asks for what the verifier refuses */
		return *(int *)(long)shape.hook;
	return shape.has_cast ? -1 : 0; /* denies where it may */
}

#define HOOK(name, section)                     \
	SEC(section) int hook_##name(void *ctx) \
	{                                       \
		return judge();                 \
	}
HOOK(fentry, "fentry")
HOOK(fexit, "fexit")
HOOK(fmod_ret, "fmod_ret")
HOOK(lsm, "lsm")
HOOK(kprobe, "kprobe")
HOOK(kretprobe, "kretprobe")
HOOK(tracepoint, "tracepoint")
HOOK(tp_btf, "tp_btf")
HOOK(raw_tp, "raw_tp")
HOOK(sys_enter, "raw_tp")
HOOK(sys_exit, "raw_tp")

char LICENSE[] SEC("license") = "Dual BSD/GPL";
