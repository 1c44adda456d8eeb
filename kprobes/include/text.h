/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The text of a path or string, in a slot of scratch memory. Paths are what d_path shows to the current task, without
 * " (deleted)". They are built backwards, from PATH_END down, and then moved to the front. The position lives in memory:
 * in a register every length of every name would be another state to verify. The walk is lockless: a rename at the same
 * moment can mix old and new names. */
#pragma once

#include "buckets.h"

#define WALK_COMPONENTS 16 /* steps of one round */
#define WALK_ROUNDS 160    /* 2,048 components are the most of a path, and mounts take a step as well */
#define PATH_FIRST (PATH_END - TEXT_BYTES + 1)
#define NAME_BYTES 256

inline_always struct hook_scratch *scratch_of(u32 slot)
{
	return bpf_map_lookup_elem(&hook_scratch, &slot);
}

/* Copies a name of 1 to 32 bytes in words that overlap: nothing is written behind it. */
inline_always void copy_short(u8 *out, u64 name, u64 length)
{
	if (length >= 16) {
		*(u64 *)out = load_by(true, name, 8);
		*(u64 *)(out + 8) = load_by(true, name + 8, 8);
		*(u64 *)(out + length - 16) = load_by(true, name + length - 16, 8);
		*(u64 *)(out + length - 8) = load_by(true, name + length - 8, 8);
	} else if (length >= 8) {
		*(u64 *)out = load_by(true, name, 8);
		*(u64 *)(out + length - 8) = load_by(true, name + length - 8, 8);
	} else if (length >= 4) {
		*(u32 *)out = load_by(true, name, 4);
		*(u32 *)(out + length - 4) = load_by(true, name + length - 4, 4);
	} else if (length >= 2) {
		*(u16 *)out = load_by(true, name, 2);
		*(u16 *)(out + length - 2) = load_by(true, name + length - 2, 2);
	} else if (length) {
		*out = load_by(true, name, 1);
	}
}

inline_always bool prepend_byte(struct hook_scratch *scratch, u8 byte)
{
	u64 at = scratch->walk.at - 1;

	barrier_value(at);
	if (at >= PATH_END)
		return false;
	scratch->text[at] = byte;
	scratch->walk.at = at;
	return true;
}

/* Puts a name in front of what is built; false when the path becomes too long. */
inline_always bool prepend_name(bool cast, struct hook_scratch *scratch, u64 name, u64 length)
{
	u64 at = scratch->walk.at;

	barrier_value(length);
	if (length >= NAME_BYTES || at < PATH_FIRST + 1 + length)
		return false;
	at -= length;
	barrier_value(at);
	if (at >= PATH_END)
		return !length;
	asm volatile("%0 &= 255" : "+r"(length)); /* what is known of it from comparisons is lost on some ways */
	if (cast && length <= 32)
		copy_short(&scratch->text[at], name, length);
	else
		bpf_probe_read_kernel(&scratch->text[at], length, (void *)name);
	scratch->walk.at = at;
	return true;
}

#define PREPEND(scratch, literal) \
	_Pragma("unroll") for (int i_ = sizeof(literal) - 2; i_ >= 0; i_--) prepend_byte(scratch, literal[i_])

inline_always void prepend_number(struct hook_scratch *scratch, u64 number)
{
	for (int i = 0; i < 20; i++) {
		prepend_byte(scratch, '0' + number % 10);
		number /= 10;
		if (!number)
			break;
	}
}

/* "mnt:" of a namespace's file. */
inline_always void prepend_namespace(struct hook_scratch *scratch, u64 inode)
{
	u64 space = GET(inode, struct inode___private, i_private);
	u64 name = GET(GET(space, struct ns_common___operations, ops), struct proc_ns_operations, name);
	char text[24];
	long length = bpf_probe_read_kernel_str(text, sizeof(text), (void *)name);

	PREPEND(scratch, ":[");
	if (length > 1)
		prepend_name(shape.has_cast, scratch, name, (length - 1) & 31);
}

/* The text of a file without a path, as its file system's d_dname writes it (Linux fs/pipe.c, net/socket.c,
 * fs/anon_inodes.c, fs/nsfs.c, fs/pidfs.c); of others, memfd among them, the name alone (simple_dname, fs/d_path.c). */
__attribute__((noinline)) int prepend_pseudo(u32 slot)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct dentry_part part;
	u64 dentry, magic, inode;

	if (!scratch)
		return 0;
	dentry = scratch->walk.dentry;
	magic = GET(GET(dentry, struct dentry___super, d_sb), struct super_block___magic, s_magic);
	inode = GET(dentry, struct dentry, d_inode);
	read_dentry(shape.has_cast, &part, dentry);
	if (magic == MAGIC_PIPE || magic == MAGIC_SOCKET || magic == MAGIC_NAMESPACE) {
		prepend_byte(scratch, ']');
		prepend_number(scratch, GET(inode, struct inode, i_ino));
		if (magic == MAGIC_PIPE)
			PREPEND(scratch, "pipe:[");
		else if (magic == MAGIC_SOCKET)
			PREPEND(scratch, "socket:[");
		else
			prepend_namespace(scratch, inode);
		return 1;
	}
	if (magic == MAGIC_PIDFD) {
		PREPEND(scratch, "anon_inode:[pidfd]");
		return 1;
	}
	prepend_name(shape.has_cast, scratch, part.name, part.hash_len >> 32);
	if (magic == MAGIC_ANON_INODE)
		PREPEND(scratch, "anon_inode:");
	else
		prepend_byte(scratch, '/');
	return 1;
}

/* Goes on with the walk in scratch for WALK_COMPONENTS steps; returns enum walk_end. */
__attribute__((noinline)) int walk_up(u32 slot)
{
	bool cast = shape.has_cast;
	struct hook_scratch *scratch = scratch_of(slot);
	struct mount_part mount;
	struct dentry_part part;
	u64 dentry, vfsmount;

	if (!scratch)
		return WALK_CUT;
	dentry = scratch->walk.dentry;
	vfsmount = scratch->walk.mount;
	read_mount(cast, &mount, vfsmount);
	for (int i = 0; i < WALK_COMPONENTS; i++) {
		if (dentry == scratch->walk.root_dentry && vfsmount == scratch->walk.root_mount)
			return WALK_ROOT;
		if (dentry == mount.root) {
			if (AT(mount.parent, struct mount, mnt) == vfsmount || !mount.parent)
				return WALK_UNREACHABLE;
			dentry = mount.mountpoint;
			vfsmount = AT(mount.parent, struct mount, mnt);
			read_mount(cast, &mount, vfsmount);
			continue;
		}
		read_dentry(cast, &part, dentry);
		if (!part.parent)
			return WALK_CUT;
		if (part.parent == dentry)
			return vfsmount ? WALK_UNREACHABLE : WALK_ROOT;
		if (!prepend_name(cast, scratch, part.name, part.hash_len >> 32) || !prepend_byte(scratch, '/'))
			return WALK_CUT;
		dentry = part.parent;
	}
	scratch->walk.dentry = dentry;
	scratch->walk.mount = vfsmount;
	return WALK_GOING;
}

/* Zeros behind a text, up to the end of the class of keys that it falls into and a word more. What cannot be read is
 * filled with zeros by the helper: a memset. */
inline_always void pad_text(struct hook_scratch *scratch, u64 length)
{
	u64 *out;

	barrier_value(length);
	if (length < 120) {
		out = (u64 *)&scratch->text[length];
#pragma unroll
		for (int i = 0; i < 16; i++)
			out[i] = 0;
		return;
	}
	for (int i = 0; i < TEXT_BYTES / 512; i++) {
		barrier_value(length);
		if (length > TEXT_BYTES)
			break;
		bpf_probe_read_kernel(&scratch->text[length], 512, NULL);
		if (length <= 504)
			break;
		length += 512;
	}
}

inline_always int keep_text(struct hook_scratch *scratch, int length)
{
	scratch->text_length = length;
	if (length >= 0)
		pad_text(scratch, length);
	return length;
}

/* Moves the path that was built to the front. The helper copies upwards, so source and target may overlap. */
inline_always int settle_path(struct hook_scratch *scratch)
{
	u64 at = scratch->walk.at, length = PATH_END - at;
	u64 *out = (u64 *)scratch->text, *in;

	barrier_value(at);
	barrier_value(length);
	if (at > PATH_END || length >= TEXT_BYTES)
		return keep_text(scratch, -1);
	if (length > 64) {
		bpf_probe_read_kernel(out, length, &scratch->text[at]);
	} else {
		in = (u64 *)&scratch->text[at];
#pragma unroll
		for (int i = 0; i < 8; i++)
			out[i] = in[i];
	}
	return keep_text(scratch, length);
}

/* The path of (dentry, vfsmount) as a task with this fs_struct sees it, 0: the current one; vfsmount 0: as its own file
 * system sees it. Returns its length or a negative number. A path of TEXT_BYTES and more keeps its end, with PATH_CUT. */
__attribute__((noinline)) int path_text_from(u32 slot, u64 dentry, u64 vfsmount, u64 fs)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct root root;
	int end = WALK_GOING;

	if (!scratch || !dentry)
		return -1;
	if (fs)
		read_root_of(&root, fs);
	else
		read_root(shape.has_cast, &root);
	scratch->text_of = scratch->text_flags = 0;
	scratch->walk.dentry = dentry;
	scratch->walk.mount = vfsmount;
	scratch->walk.root_dentry = root.dentry;
	scratch->walk.root_mount = root.mount;
	scratch->walk.at = PATH_END;
	for (int i = 0; i < WALK_ROUNDS && end == WALK_GOING; i++)
		end = walk_up(slot);
	if (end == WALK_UNREACHABLE)
		scratch->text_flags = PATH_UNREACHABLE;
	else if (end != WALK_ROOT)
		scratch->text_flags = PATH_CUT;
	if (scratch->walk.at == PATH_END) {
		if (end == WALK_UNREACHABLE && GET(dentry, struct dentry, d_parent) == dentry &&
		    GET(vfsmount, struct vfsmount, mnt_root) != dentry)
			prepend_pseudo(slot);
		else
			prepend_byte(scratch, '/');
	}
	return settle_path(scratch);
}

/* As the current task sees it. */
__attribute__((noinline)) int read_path_text(u32 slot, u64 dentry, u64 vfsmount)
{
	return path_text_from(slot, dentry, vfsmount, 0);
}

/* Copies a string; returns its length with its NUL, or a negative error. Of an empty one of a program the helper tells 0
 * on many kernels, 6.1 among them (Linux mm/maccess.c strncpy_from_user_nofault, "ret > 0" until v6.14). */
inline_always long copy_string(void *out, u32 most, u64 address, bool is_user)
{
	long length;

	if (!is_user)
		return bpf_probe_read_kernel_str(out, most, (void *)address);
	length = bpf_probe_read_user_str(out, most, (void *)address);
	return length ? length : 1;
}

inline_always long copy_bytes(void *out, u32 length, u64 address, bool is_user)
{
	if (is_user)
		return bpf_probe_read_user(out, length, (void *)address);
	return bpf_probe_read_kernel(out, length, (void *)address);
}

/* The string at `address`; returns its length or a negative number. Of a longer one TEXT_BYTES - 1 bytes, with
 * PATH_CUT. */
__attribute__((noinline)) int read_string_text(u32 slot, u64 address, u32 is_user)
{
	struct hook_scratch *scratch = scratch_of(slot);
	long length;
	u8 last = 0;

	if (!scratch)
		return -1;
	scratch->text_of = scratch->text_flags = 0;
	length = copy_string(scratch->text, TEXT_BYTES, address, is_user);
	if (length == TEXT_BYTES && !copy_bytes(&last, 1, address + TEXT_BYTES - 1, is_user) && last)
		scratch->text_flags = PATH_CUT;
	return keep_text(scratch, length <= 0 ? -1 : length - 1);
}
