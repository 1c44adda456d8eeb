/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's types, as far as the programs read them. Only names and types of members count: their
 * offsets are relocated at load from the running kernel's BTF (CO-RE), so no kernel header is needed and
 * one object serves every kernel. Where kernels differ, the flavour (`name___flavour`) says since when. */
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>
#include <asm/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef _Bool bool;
#define true 1
#define false 0

#define NULL ((void *)0)
#define inline_always static inline __attribute__((always_inline))
/* Keeps the compiler from reasoning about a value that the verifier must see bounded. */
#define barrier_value(x) asm volatile("" : "+r"(x))

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct atomic_counter {
	int counter;
};

struct user_id {
	u32 val;
};

struct ns_common {
	u32 inum;
};
struct uts_namespace {
	struct ns_common ns;
};
struct ipc_namespace {
	struct ns_common ns;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct pid_namespace {
	struct ns_common ns;
	u32 level;
};
struct net {
	struct ns_common ns;
};
struct time_namespace {
	struct ns_common ns;
};
struct cgroup_namespace {
	struct ns_common ns;
};
struct user_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct pid_namespace *pid_ns_for_children;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct time_namespace *time_ns_for_children;
	struct cgroup_namespace *cgroup_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	u32 level;
	struct upid numbers[1];
};

/* A capability set is eight bytes in every kernel: u32[2] until v6.2, u64 since Linux kernel commit
 * f122a08b197d "capability: just use a 'u64' instead of a 'u32[2]' array" (in v6.3). */
struct capability_set {
	u64 bits;
};

struct cred {
	struct user_id uid;
	struct user_id gid;
	struct user_id suid;
	struct user_id sgid;
	struct user_id euid;
	struct user_id egid;
	struct user_id fsuid;
	struct user_id fsgid;
	u32 securebits;
	struct capability_set cap_inheritable;
	struct capability_set cap_permitted;
	struct capability_set cap_effective;
	struct capability_set cap_ambient;
	struct user_namespace *user_ns;
};

struct tty_struct {
	char name[64];
};

struct signal_struct {
	struct atomic_counter live;
	int group_exit_code;
	u32 flags;
	struct pid *pids[4];
	struct tty_struct *tty;
};

struct qstr {
	u64 hash_len;
	const unsigned char *name;
};

struct super_block {
	u32 s_dev;
};

struct inode {
	u16 i_mode;
	u64 i_ino;
	u32 i_nlink;
	struct super_block *i_sb;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	unsigned char d_iname[32];
};

/* Linux kernel commit 58cf9c383c5c "dcache: back inline names with a struct-wrapped array of unsigned long"
 * (in v6.14) renamed the inline name. */
struct shortname_store___v614 {
	unsigned char string[40];
};
struct dentry___v614 {
	struct shortname_store___v614 d_shortname;
};

struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
};
struct fs_struct {
	struct path root;
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
};

struct kernfs_node {
	const char *name;
	u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};
struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[16];
	struct cgroup_root *root;
};
struct css_set {
	struct cgroup_subsys_state *subsys[16];
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	int pid;
	int tgid;
	u32 flags;
	int exit_code;
	u64 start_boottime;
	u64 self_exec_id;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	struct cred *cred;
	struct fs_struct *fs;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct user_id loginuid;
};

struct linux_binprm {
	struct file *file;
	struct cred *cred;
	int argc, envc;
	const char *filename;
};

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

enum { PIDTYPE_PGID = 2, PIDTYPE_SID = 3 };
#define SIGNAL_GROUP_EXIT 0x00000004
#define PF_KTHREAD 0x00200000
#define S_ISUID 0004000
#define S_ISGID 0002000

/* A pointer read that fits both ways of reading the kernel: BTF-typed programs load directly (one
 * instruction, faults give 0), plain raw tracepoints go through a helper. `typed` is a constant. */
#define READ(typed, pointer, member)                                                \
	({                                                                          \
		typeof((pointer)->member) value_;                                   \
		if (typed)                                                          \
			value_ = (pointer)->member;                                 \
		else                                                                \
			bpf_core_read(&value_, sizeof(value_), &(pointer)->member); \
		value_;                                                             \
	})
