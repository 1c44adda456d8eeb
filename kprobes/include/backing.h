/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A file system that lies on others (overlayfs, FUSE passthrough) opens the file below once more for itself, so that
 * hooks on files are called twice for one open. The second call is no event of its own. */
#pragma once

#include "text.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct file___mode {
	u32 f_mode;
};
struct backing_file {
	struct file file;
};
#pragma clang attribute pop

/* Linux include/linux/fs.h. FMODE_BACKING is bit 25 (Linux kernel commit 62d53c4a1dfe "fs: use backing_file container for
 * internal files with "fake" f_path", in v6.5) or bit 24 (since v6.14, where 25 means something else); FMODE_NOACCOUNT, which
 * files that users open never have, is set with it in all of them. */
#define FMODE_BACKING (1 << 25 | 1 << 24)
#define FMODE_NOACCOUNT (1 << 29)

/* Before v6.5 such a file has the path of the one above it and the inode of the one below (open_with_fake_path). */
__attribute__((noinline)) int is_backing_file(u64 file)
{
	u64 inode, dentry;
	u32 mode;

	if (!file)
		return 0;
	if (bpf_core_type_exists(struct backing_file)) {
		mode = GET(file, struct file___mode, f_mode);
		return (mode & FMODE_NOACCOUNT) && (mode & FMODE_BACKING);
	}
	inode = GET(file, struct file, f_inode);
	dentry = GET(file, struct file, f_path.dentry);
	return inode && dentry && inode != (u64)GET(dentry, struct dentry, d_inode);
}
