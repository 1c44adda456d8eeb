/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel types that only policies look at, like kernel.h: own minimal types whose offsets are relocated at load.
 * Where kernels differ, the flavour (`name___flavour`) says since when. And how a field is loaded by address. */
#pragma once

#include "hooks.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr___full {
	u8 bytes[16];
};
struct sock_common {
	u32 skc_daddr, skc_rcv_saddr;
	u16 skc_dport, skc_num; /* dport in network byte order, num in the host's */
	u16 skc_family;
	u8 skc_state;
	struct in6_addr___full skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	u32 sk_priority, sk_mark;
	u16 sk_type, sk_protocol;
};
struct socket {
	struct sock *sk;
};

struct sk_buff {
	struct sock *sk;
	unsigned int len;
	u8 active_extensions;
	u32 priority, hash, mark;
	u16 transport_header, network_header;
	unsigned char *head;
	struct skb_ext *extensions;
};
struct skb_ext {
	u8 offset[1]; /* by enum skb_ext_id, in units of 8 bytes */
};
enum skb_ext_id { SKB_EXT_SEC_PATH = 1 };
/* Both are int up to v6.18 and u8 in v7.2 (as those kernels' BTF says): the size is asked for. */
struct sec_path {
	int len, olen;
};

struct user_namespace___owned {
	int level;
	struct user_id owner, group;
};

struct inode___private {
	void *i_private;
};
struct mm_struct___exe {
	struct file *exe_file;
};
struct super_block___magic {
	unsigned long s_magic;
};
struct proc_ns_operations {
	const char *name;
};
struct ns_common___operations {
	const struct proc_ns_operations *ops;
};
struct dentry___super {
	struct super_block *d_sb;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct task_struct___files {
	struct files_struct *files;
};
struct kiocb {
	struct file *ki_filp;
};

/* Linux kernel commit 8cd54c1c8480 "iov_iter: separate direction from flavour" (in v5.14) made `type`, a set of bits,
 * `iter_type`, a number; commit de4f5fed3f23 "iov_iter: add iter_iovec() helper" (in v6.4) renamed `iov`; commit
 * fcb14cb1bdac "new iov_iter flavour - ITER_UBUF" (in v6.0) added `ubuf`. */
struct iovec;
struct iov_iter {
	u8 iter_type;
	unsigned long iov_offset, count;
	void *ubuf;
	unsigned long nr_segs;
	const struct iovec *__iov;
};
struct iov_iter___bits {
	unsigned int type;
};
struct iov_iter___v63 {
	const struct iovec *iov;
};
/* The numbers differ between kernels and are asked for. */
enum iter_type { ITER_UBUF, ITER_IOVEC, ITER_KVEC };

struct bpf_prog_aux {
	char name[16];
};
struct bpf_prog {
	enum bpf_prog_type type;
	u32 len; /* in instructions */
	struct bpf_prog_aux *aux;
};
struct bpf_map {
	enum bpf_map_type map_type;
	u32 key_size, value_size, max_entries;
	char name[16];
};

struct perf_event_attr___own {
	u32 type;
	u64 config;
	u64 kprobe_func; /* address in user memory */
	u64 probe_offset;
};
struct perf_event {
	struct perf_event_attr___own attr;
};

struct module {
	char name[56];
	bool sig_ok; /* CONFIG_MODULE_SIG */
	unsigned long taints;
};
struct load_info {
	const char *name;
	bool sig_ok;
};
struct net_device {
	char name[16];
};

/* Only to load words from anywhere: its first member is eight plain bytes. */
struct timespec64 {
	long long tv_sec;
};

#pragma clang attribute pop

/* super_block.s_magic of what has no path (linux/magic.h). */
#define MAGIC_PIPE 0x50495045
#define MAGIC_SOCKET 0x534f434b
#define MAGIC_ANON_INODE 0x09041934
#define MAGIC_NAMESPACE 0x6e736673
#define MAGIC_PIDFD 0x50494446

#define FAMILY_UNIX 1
#define FAMILY_INET 2
#define FAMILY_INET6 10

void *bpf_rdonly_cast(const void *object, u32 btf_id) __ksym __weak;

/* `size` bytes of kernel memory as a number, 0 where there are none. With the cast of Linux kernel commit a35b9af4ec2c
 * "bpf: Add a kfunc for generic type cast" (in v6.2) a load is one instruction that tolerates faults; without it a
 * helper call of some 115. */
inline_always u64 load_by(bool cast, u64 address, u32 size)
{
	void *memory;

	if (!cast) {
		u64 value = 0;

		bpf_probe_read_kernel(&value, size, (void *)address);
		return value;
	}
	memory = bpf_rdonly_cast((void *)address, bpf_core_type_id_kernel(struct timespec64));
	switch (size) {
	case 1:
		return *(u8 *)memory;
	case 2:
		return *(u16 *)memory;
	case 4:
		return *(u32 *)memory;
	}
	return *(u64 *)memory;
}

inline_always u64 load(u64 address, u32 size)
{
	return load_by(shape.has_cast, address, size);
}

/* The address and the content of a member of the object at `address`. */
#define AT(address, type, member) ((u64)(address) + bpf_core_field_offset(type, member))
#define GET(address, type, member) load(AT(address, type, member), sizeof(((type *)0)->member))
/* The same where it happens often: `cast` is shape.has_cast, read once. */
#define GET_BY(cast, address, type, member) load_by(cast, AT(address, type, member), sizeof(((type *)0)->member))
