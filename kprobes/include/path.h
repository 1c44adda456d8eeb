/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The path of a dentry, written leaf first ("bash\0bin\0usr\0"), each component ended by NUL; the reader turns
 * it round. Walks to the process's root, as getcwd(2) and /proc/PID/exe do, across mounts. The walk is lockless:
 * a rename at the same moment can mix old and new names.
 *
 * Two ways. `walk_typed` follows BTF pointers (a dozen instructions a component; needs bpf_rdonly_cast to step
 * from a vfsmount to its mount, Linux kernel commit a35b9af4ec2c "bpf: Add a kfunc for generic type cast" in
 * v6.2). `walk_more` reads with helpers, works on every kernel, continues where the other stopped, and is a
 * global function so that the verifier sees it once however often it is called. The write position lives in
 * memory, not in a register: else every length of every name would be another state to verify. */
#pragma once

#include "shared.h"

#define PATH_BYTES 4096
#define NAME_BYTES 256
#define TYPED_COMPONENTS 16
#define WALK_COMPONENTS 32
#define WALK_ROUNDS 16

/* Tail of an exec record: filename, cgroup, exe, cwd, arguments, environment. A part is at most PATH_BYTES (and a
 * name more, with which a path passes its limit) and begins at or before TAIL_MASK, so TAIL_SPACE holds all. */
#define TAIL_MASK 16383
#define TAIL_SPACE (TAIL_MASK + 1 + PATH_BYTES + NAME_BYTES)

struct walk {
	u64 dentry, mount; /* where the walk stands; mount is the vfsmount */
	u64 root_dentry, root_mount;
	u32 done;  /* enum walk_end */
	u32 limit; /* position at which the path is cut */
};
enum walk_end { WALK_GOING, WALK_ROOT, WALK_UNREACHABLE, WALK_CUT };

/* A block of user memory that is sent in chunks. */
struct chunks {
	u64 from, length;
	u32 next;   /* index of the chunk that comes next */
	u32 stream; /* enum chunk_stream */
};

struct scratch {
	u32 busy;
	u32 slot;     /* its key in exec_scratch: enum turn */
	u32 position; /* in tail */
	struct walk walk;
	struct chunks chunks;
	struct exec_record record;
	u8 tail[TAIL_SPACE];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} exec_scratch SEC(".maps");

void *bpf_rdonly_cast(const void *object, u32 btf_id) __ksym __weak;

inline_always struct mount *mount_of(struct vfsmount *mount)
{
	return bpf_rdonly_cast((void *)mount - bpf_core_field_offset(struct mount, mnt),
			       bpf_core_type_id_kernel(struct mount));
}

inline_always const u64 *inline_name(struct dentry *dentry)
{
	struct dentry___v614 *renamed = (void *)dentry;

	if (bpf_core_field_exists(dentry->d_iname))
		return (const u64 *)&dentry->d_iname;
	return (const u64 *)&renamed->d_shortname;
}

/* Appends one name. Short names are copied from the dentry in words: bytes after the name are garbage and are
 * overwritten by what follows. */
inline_always void append_name(struct scratch *scratch, struct dentry *dentry)
{
	u64 length = dentry->d_name.hash_len >> 32, at = scratch->position;
	const u64 *name = inline_name(dentry);
	u64 *out;

	barrier_value(at);
	at &= TAIL_MASK;
	barrier_value(length);
	if (length < 32) {
		out = (u64 *)&scratch->tail[at];
		out[0] = name[0];
		if (length > 7)
			out[1] = name[1];
		if (length > 15) {
			out[2] = name[2];
			out[3] = name[3];
		}
	} else {
		length &= NAME_BYTES - 1;
		barrier_value(length);
		length &= NAME_BYTES - 1;
		bpf_probe_read_kernel(&scratch->tail[at], length, dentry->d_name.name);
	}
	at += length;
	barrier_value(at);
	at &= 2 * TAIL_MASK + 1;
	if (at >= TAIL_SPACE)
		return;
	scratch->tail[at] = 0;
	scratch->position = at + 1;
}

/* BTF-typed walk. Ends by itself, or leaves a place from which walk_more goes on. */
inline_always void walk_typed(struct scratch *scratch, struct path *path, struct path *root)
{
	struct dentry *root_dentry = root->dentry, *dentry = path->dentry, *top, *parent;
	struct vfsmount *root_mount = root->mnt;
	struct mount *mount = mount_of(path->mnt), *above;
	u32 end = WALK_GOING;

	top = mount->mnt.mnt_root;
	for (int i = 0; i < TYPED_COMPONENTS; i++) {
		if (dentry == root_dentry && &mount->mnt == root_mount) {
			end = WALK_ROOT;
			break;
		}
		if (dentry == top) {
			above = mount->mnt_parent;
			if (above == mount) {
				end = WALK_UNREACHABLE;
				break;
			}
			dentry = mount->mnt_mountpoint;
			mount = above;
			top = mount->mnt.mnt_root;
			continue;
		}
		parent = dentry->d_parent;
		append_name(scratch, dentry);
		if (parent == dentry) {
			end = WALK_UNREACHABLE;
			break;
		}
		if (scratch->position > scratch->walk.limit) {
			end = WALK_CUT;
			break;
		}
		dentry = parent;
	}
	scratch->walk.dentry = (u64)dentry;
	scratch->walk.mount = (u64)&mount->mnt;
	scratch->walk.done = end;
}

struct dentry_part {
	u64 parent;
	u64 hash_len;
	u64 name;
};
struct mount_part {
	u64 parent, mountpoint, root;
};

inline_always void read_mount(struct mount_part *part, u64 mount)
{
	bpf_probe_read_kernel(&part->parent, 8,
			      (void *)mount - bpf_core_field_offset(struct mount, mnt) +
				      bpf_core_field_offset(struct mount, mnt_parent));
	bpf_probe_read_kernel(&part->mountpoint, 8,
			      (void *)mount - bpf_core_field_offset(struct mount, mnt) +
				      bpf_core_field_offset(struct mount, mnt_mountpoint));
	bpf_probe_read_kernel(&part->root, 8, (void *)mount + bpf_core_field_offset(struct vfsmount, mnt_root));
}

/* Goes on with the walk in scratch for WALK_COMPONENTS more components, with helper reads only. */
__attribute__((noinline)) int walk_more(u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&exec_scratch, &slot);
	struct mount_part mount;
	struct dentry_part part;
	u64 dentry, vfsmount, at, length;

	if (!scratch || scratch->walk.done)
		return 0;
	dentry = scratch->walk.dentry;
	vfsmount = scratch->walk.mount;
	read_mount(&mount, vfsmount);
	for (int i = 0; i < WALK_COMPONENTS; i++) {
		if (dentry == scratch->walk.root_dentry && vfsmount == scratch->walk.root_mount) {
			scratch->walk.done = WALK_ROOT;
			return 0;
		}
		if (dentry == mount.root) {
			if (mount.parent + bpf_core_field_offset(struct mount, mnt) == vfsmount) {
				scratch->walk.done = WALK_UNREACHABLE;
				return 0;
			}
			dentry = mount.mountpoint;
			vfsmount = mount.parent + bpf_core_field_offset(struct mount, mnt);
			read_mount(&mount, vfsmount);
			continue;
		}
		if (bpf_probe_read_kernel(&part.parent, 8,
					  (void *)dentry + bpf_core_field_offset(struct dentry, d_parent)) ||
		    bpf_probe_read_kernel(&part.hash_len, 16,
					  (void *)dentry + bpf_core_field_offset(struct dentry, d_name))) {
			scratch->walk.done = WALK_CUT;
			return 0;
		}
		at = scratch->position;
		barrier_value(at);
		at &= TAIL_MASK;
		length = part.hash_len >> 32;
		length &= NAME_BYTES - 1;
		barrier_value(length);
		length &= NAME_BYTES - 1;
		bpf_probe_read_kernel(&scratch->tail[at], length, (void *)part.name);
		at += length;
		barrier_value(at);
		at &= 2 * TAIL_MASK + 1;
		if (at >= TAIL_SPACE)
			return 0;
		scratch->tail[at] = 0;
		scratch->position = at + 1;
		if (part.parent == dentry) {
			scratch->walk.done = WALK_UNREACHABLE;
			return 0;
		}
		if (scratch->position > scratch->walk.limit) {
			scratch->walk.done = WALK_CUT;
			return 0;
		}
		dentry = part.parent;
	}
	scratch->walk.dentry = dentry;
	scratch->walk.mount = vfsmount;
	return 0;
}
