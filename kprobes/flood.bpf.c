// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What happens to the life cycle in a flood? For tests and benchmarks only, never loaded by the agent itself:
 * one bulk record per getppid(2) of one process, through the same ring and the same admission. */
#include "include/kernel.h"
#include "include/wire.h"

const volatile struct flood {
	u32 tgid;
	u32 syscall;
	u64 ring_bytes;
} flood SEC(".rodata.flood") = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} flood_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counters);
} flood_counters SEC(".maps");

struct flood_record {
	struct record_header header;
	u8 payload[512];
};

inline_always void flood_count(u32 slot)
{
	u32 zero = 0;
	struct counters *here = bpf_map_lookup_elem(&flood_counters, &zero);

	if (here)
		here->slots[slot] += 1;
}

SEC("raw_tp/sys_enter")
int flood_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct flood_record *record;
	u64 now = bpf_get_current_pid_tgid();

	if (ctx->args[1] != flood.syscall || now >> 32 != flood.tgid)
		return 0;
	if (bpf_ringbuf_query(&flood_events, BPF_RB_AVAIL_DATA) >= flood.ring_bytes - flood.ring_bytes / 4) {
		flood_count(LOSS_SHED * HOOK_COUNT + HOOK_FLOOD);
		return 0;
	}
	record = bpf_ringbuf_reserve(&flood_events, sizeof(*record), 0);
	if (!record) {
		flood_count(LOSS_RING_FULL * HOOK_COUNT + HOOK_FLOOD);
		return 0;
	}
	__builtin_memset(&record->header, 0, sizeof(record->header));
	record->header.kind = RECORD_FLOOD;
	record->header.ktime_ns = bpf_ktime_get_boot_ns();
	record->header.tgid = now >> 32;
	record->header.tid = now;
	bpf_ringbuf_submit(record, 0);
	flood_count(COUNTER_SENT + HOOK_FLOOD);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
