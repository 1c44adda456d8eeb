/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Buckets of names: numbers below PATH_BUCKETS that tell that a path cannot be one of those asked for, without building
 * it. agent/policy/buckets.py computes the same.
 *
 *   mix(name)            = (word ^ length * MIX_LENGTH) * MIX_WORD, in 64 bits; `word` is the name's first eight bytes,
 *                          little-endian, zeros behind its end
 *   first                = mix(topmost name) >> 56
 *   second               = ((mix(topmost) rotated right by 32) ^ mix(second name)) * MIX_WORD >> 56
 *   last                 = mix(last name) >> 56
 *   end                  = (pair * MIX_LENGTH & (1 << 64) - 1) >> 56; `pair` is the last two bytes of the path's text,
 *                          the last but one in its low byte: of "/a" they are "/a"
 *
 * A name that does not exist is empty: of "/tmp" the second, of "/" both. */
#pragma once

#include "objects.h"

#define MIX_LENGTH 0x9e3779b97f4a7c15ULL
#define MIX_WORD 0xff51afd7ed558ccdULL
#define TOP_STEPS 14 /* components and mounts of a path that is still rejected without being built */
#define NOT_KNOWN (PATH_BUCKETS | PATH_BUCKETS << 16)

/* The same number, of which the verifier knows nothing any more: a pointer may be kept and compared, and a loop begins in
 * the state in which it goes on. */
inline_always u64 forgotten(u64 number)
{
	asm volatile("%0 = be64 %0\n%0 = be64 %0" : "+r"(number));
	return number;
}

/* What one step of a walk reads. */
struct dentry_part {
	u64 parent;
	u64 hash_len; /* the name's length in the upper half */
	u64 name;
};
struct mount_part {
	u64 parent, mountpoint; /* the mount that it stands on, and where there */
	u64 root;
};

#define OFFSET(type, member) bpf_core_field_offset(type, member)

/* Three words that follow each other unless the kernel's layout is randomised. */
inline_always void read_dentry(bool cast, struct dentry_part *part, u64 dentry)
{
	part->parent = part->hash_len = part->name = 0;
	if (!cast && OFFSET(struct dentry, d_name) == OFFSET(struct dentry, d_parent) + 8) {
		bpf_probe_read_kernel(part, sizeof(*part), (void *)AT(dentry, struct dentry, d_parent));
		return;
	}
	part->parent = GET_BY(cast, dentry, struct dentry, d_parent);
	part->hash_len = GET_BY(cast, dentry, struct dentry, d_name.hash_len);
	part->name = GET_BY(cast, dentry, struct dentry, d_name.name);
}

inline_always void read_mount(bool cast, struct mount_part *part, u64 vfsmount)
{
	u64 mount = vfsmount - OFFSET(struct mount, mnt);

	part->parent = part->mountpoint = part->root = 0;
	if (!vfsmount)
		return;
	if (!cast && OFFSET(struct mount, mnt_mountpoint) == OFFSET(struct mount, mnt_parent) + 8 &&
	    OFFSET(struct mount, mnt.mnt_root) == OFFSET(struct mount, mnt_parent) + 16) {
		bpf_probe_read_kernel(part, sizeof(*part), (void *)AT(mount, struct mount, mnt_parent));
		return;
	}
	part->parent = GET_BY(cast, mount, struct mount, mnt_parent);
	part->mountpoint = GET_BY(cast, mount, struct mount, mnt_mountpoint);
	part->root = GET_BY(cast, vfsmount, struct vfsmount, mnt_root);
}

struct root {
	u64 dentry, mount;
};

inline_always void read_root_of(struct root *root, u64 fs)
{
	root->dentry = GET(fs, struct fs_struct, root.dentry);
	root->mount = GET(fs, struct fs_struct, root.mnt);
}

/* The current task's root. The typed task is one of Linux kernel commit 3ca1032ab7ab "bpf: Implement
 * get_current_task_btf and RET_PTR_TO_BTF_ID" (in v5.11). */
inline_always void read_root(bool cast, struct root *root)
{
	struct task_struct *task;
	u64 fs;

	if (!cast && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		task = bpf_get_current_task_btf();
		root->dentry = forgotten((u64)task->fs->root.dentry);
		root->mount = forgotten((u64)task->fs->root.mnt);
		return;
	}
	fs = GET_BY(cast, bpf_get_current_task(), struct task_struct, fs);
	read_root_of(root, fs);
}

/* Of the first eight bytes of a name those that belong to it. */
inline_always u64 masked(u64 word, u64 length)
{
	return length < 8 ? word & ((1ULL << (length & 7) * 8) - 1) : word;
}

inline_always u64 mix(u64 word, u64 length)
{
	return (word ^ length * MIX_LENGTH) * MIX_WORD;
}

/* A name as the walk to the top remembers it: by its dentry where loads are cheap, else what one read of the dentry
 * brought. */
struct top_name {
	u64 dentry;
	u64 hash_len;
	u64 word; /* first bytes of the inline name */
};

inline_always void forget_name(bool cast, struct top_name *name)
{
	name->dentry = cast ? forgotten(0) : 0;
	name->hash_len = name->word = 0;
}

#define INLINE_NAME_BYTES 32 /* shorter names with their NUL lie in the dentry */

inline_always u64 inline_name_offset(void)
{
	if (bpf_core_field_exists(struct dentry, d_iname))
		return OFFSET(struct dentry, d_iname);
	return OFFSET(struct dentry___v614, d_shortname);
}

/* Reads the dentry's parent, and its name where that costs nothing more. */
inline_always u64 read_step(bool cast, struct top_name *name, u64 dentry)
{
	u64 words[5] = {};

	name->dentry = dentry;
	if (cast)
		return GET_BY(cast, dentry, struct dentry, d_parent);
	if (OFFSET(struct dentry, d_name) == OFFSET(struct dentry, d_parent) + 8 &&
	    inline_name_offset() == OFFSET(struct dentry, d_parent) + 32) {
		bpf_probe_read_kernel(words, sizeof(words), (void *)AT(dentry, struct dentry, d_parent));
		name->hash_len = words[1];
		name->word = words[4];
		return words[0];
	}
	name->hash_len = GET_BY(cast, dentry, struct dentry, d_name.hash_len);
	name->word = load_by(cast, dentry + inline_name_offset(), 8);
	return GET_BY(cast, dentry, struct dentry, d_parent);
}

inline_always u32 top_buckets(u64 first, u64 second)
{
	second = ((first >> 32 | first << 32) ^ second) * MIX_WORD;
	return first >> 56 | second >> 56 << 16;
}

inline_always u64 mix_dentry(bool cast, u64 dentry)
{
	u64 length;

	if (!dentry)
		return 0;
	length = GET_BY(cast, dentry, struct dentry, d_name.hash_len) >> 32;
	return mix(masked(load_by(cast, GET_BY(cast, dentry, struct dentry, d_name.name), 8), length), length);
}

/* Global functions once more, so that the verifier does not go through them for every end of the walk. */
__attribute__((noinline)) int buckets_of_dentries(u64 top, u64 below)
{
	bool cast = shape.has_cast;

	return top_buckets(mix_dentry(cast, top), mix_dentry(cast, below));
}

__attribute__((noinline)) int buckets_of_words(u64 top_hash_len, u64 top_word, u64 below_hash_len, u64 below_word)
{
	u64 top = top_hash_len >> 32, below = below_hash_len >> 32;

	if (top >= INLINE_NAME_BYTES || below >= INLINE_NAME_BYTES)
		return NOT_KNOWN;
	return top_buckets(mix(masked(top_word, top), top), mix(masked(below_word, below), below));
}

/* first | second << 16: buckets of the two topmost names of the path as the current task sees it; NOT_KNOWN where only
 * the whole path tells. vfsmount 0: seen from its own file system's root. */
__attribute__((noinline)) int path_buckets_top(u64 dentry, u64 vfsmount)
{
	bool cast = shape.has_cast;
	struct top_name top, below, name;
	struct mount_part mount;
	struct root root;
	bool is_known = false;
	u64 parent;

	forget_name(cast, &top);
	forget_name(cast, &below);
	forget_name(cast, &name);
	read_root(cast, &root);
	read_mount(cast, &mount, vfsmount);
#pragma clang loop unroll(disable)
	for (int i = 0; i < TOP_STEPS; i++) {
		if (dentry == root.dentry && vfsmount == root.mount) {
			is_known = true;
			break;
		}
		if (dentry == mount.root) {
			is_known = AT(mount.parent, struct mount, mnt) == vfsmount;
			if (is_known || !mount.parent)
				break;
			dentry = mount.mountpoint;
			vfsmount = AT(mount.parent, struct mount, mnt);
			read_mount(cast, &mount, vfsmount);
			continue;
		}
		parent = read_step(cast, &name, dentry);
		if (parent == dentry || !parent) {
			is_known = parent && !vfsmount;
			break;
		}
		below = top;
		top = name;
		dentry = parent;
	}
	if (!is_known)
		return NOT_KNOWN;
	if (cast)
		return buckets_of_dentries(top.dentry, below.dentry);
	return buckets_of_words(top.hash_len, top.word, below.hash_len, below.word);
}

/* last | end << 16: buckets of the path's last name and of its last two bytes. A mount's root has its name elsewhere, and
 * so has the task's root. */
__attribute__((noinline)) int path_buckets_last(u64 dentry, u64 vfsmount)
{
	bool cast = shape.has_cast;
	struct dentry_part part;
	struct root root;
	u64 length, pair, end;

	read_root(cast, &root);
	read_dentry(cast, &part, dentry);
	length = part.hash_len >> 32;
	if (dentry == root.dentry || !part.parent || part.parent == dentry || !length)
		return NOT_KNOWN;
	if (vfsmount && dentry == GET_BY(cast, vfsmount, struct vfsmount, mnt_root))
		return NOT_KNOWN;
	if (length > 1)
		pair = load_by(cast, part.name + length - 2, 2);
	else
		pair = '/' | load_by(cast, part.name, 1) << 8;
	end = pair * MIX_LENGTH;
	return mix(masked(load_by(cast, part.name, 8), length), length) >> 56 | end >> 56 << 16;
}
