// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which sockets are tracked no more? Those that are freed: the kernel gives their address to others, whose events would
 * be told as the old owner's. Loaded while some policy tracks sockets. */
#include <linux/ptrace.h>

#include "include/kernel.h"
#include "include/states.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, struct owner);
} sockets SEC(".maps");

inline_always int forget_socket(u64 socket)
{
	bpf_map_delete_elem(&sockets, &socket);
	return 0;
}

SEC("fentry/security_sk_free")
int socket_freed_fentry(u64 *arguments)
{
	return forget_socket(arguments[0]);
}

SEC("kprobe/security_sk_free")
int socket_freed_kprobe(struct pt_regs *ctx)
{
	return forget_socket(PT_REGS_PARM1(ctx));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
