// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which call of a thread is judged already? A hook's dispatcher writes it, the one that stands in for it reads it
 * (agent/kernel/dispatch.py). Loaded where the kernel preempts tasks inside programs. */
#include "include/kernel.h"

/* By hook, several of which may run one inside the other: where its arguments lay. */
#define MARKS 8
struct marks {
	u64 call[MARKS];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct marks);
} marks SEC(".maps");

char LICENSE[] SEC("license") = "Dual BSD/GPL";
