// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What do all policies share? The epoch that switches them, their modes and budgets, scratch memory, and what is
 * remembered between calls. Sized at load: what no policy uses has one entry. */
#include "include/states.h"

#define SHARED(name, kind, entries, key_type, value_type) \
	struct {                                          \
		__uint(type, kind);                       \
		__uint(max_entries, entries);             \
		__type(key, key_type);                    \
		__type(value, value_type);                \
	} name SEC(".maps")

SHARED(hook_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, SCRATCH_SLOTS, u32, struct hook_scratch);
SHARED(verdicts, BPF_MAP_TYPE_PERCPU_ARRAY, SCRATCH_SLOTS, u32, struct verdict);
SHARED(epoch, BPF_MAP_TYPE_ARRAY, 1, u32, struct epoch);
SHARED(policies, BPF_MAP_TYPE_ARRAY, POLICY_SLOTS, u32, struct policy_state);
SHARED(calls, BPF_MAP_TYPE_LRU_HASH, 1024, struct call_key, struct call);
SHARED(kept_texts, BPF_MAP_TYPE_LRU_HASH, 1, struct call_key, struct kept);
SHARED(kept_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct kept);
SHARED(rate_limits, BPF_MAP_TYPE_LRU_HASH, 1024, struct rate_key, struct rate);
SHARED(throttles, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct throttle);
SHARED(sockets, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct owner);
SHARED(enforcements, BPF_MAP_TYPE_LRU_HASH, 1024, struct enforcement_key, struct enforcement);

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exec_state);
} exec_states SEC(".maps");

/* The layouts of policy.h as one type, for the reader's tables; never called, so never loaded. */
struct policy_format {
	struct shape shape;
	struct tables tables;
	struct selector selector;
	struct selector_count count;
	struct policy_state state;
	struct range range;
	struct mask_bit bit;
	struct integer_key integer;
	struct network_key network;
	struct prefix_key prefix;
	struct postfix_key postfix;
	struct string_key_24 text_24;
	struct string_key_120 text_120;
	struct string_key_504 text_504;
	struct string_key_4096 text_4096;
	struct hook_record record;
	struct hook_data data;
	struct match match;
	struct sent_value value;
	struct sent_path path;
	struct sent_sock sock;
	struct sent_skb skb;
	struct sent_sockaddr sockaddr;
	struct sent_cred cred;
	struct sent_user_ns user_ns;
	struct sent_bpf_attr bpf_attr;
	struct sent_bpf_map bpf_map;
	struct sent_perf_event perf_event;
	struct sent_module module;
	enum value_source sources;
	enum value_type types;
	enum value_flags flags;
	enum filter_field fields;
	enum filter_kind kinds;
	enum hook_flags hook_flags;
	enum path_asks path_asks;
	enum action_flags actions;
	enum policy_mode modes;
	enum sent_status statuses;
};

__attribute__((noinline)) int keep_policy_format(struct policy_format *format)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
