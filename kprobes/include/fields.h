/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What filters look at: numbers and addresses of a value or of the current task, and the text of a value. */
#pragma once

#include "kept.h"

#define FAULT -1

/* Whether some value may be of one of these types, some filter look at one of these fields: what the shape does not use
 * is no part of the program. */
#define BIT(number) (1U << (number))
#define USES(types) (~shape.unused_types & (types))
#define ASKS(fields) (~shape.unused_fields & (fields))
#define ENDS_TYPES (BIT(VALUE_SOCK) | BIT(VALUE_SOCKET) | BIT(VALUE_SKB) | BIT(VALUE_SOCKADDR))
#define PATH_TYPES \
	(BIT(VALUE_FILE) | BIT(VALUE_PATH) | BIT(VALUE_DENTRY) | BIT(VALUE_FD) | BIT(VALUE_KIOCB) | BIT(VALUE_BINPRM))
#define STRING_TYPES                                                                                               \
	(BIT(VALUE_STRING) | BIT(VALUE_DATA_LOC) | BIT(VALUE_NET_DEVICE) | BIT(VALUE_MODULE) | BIT(VALUE_BUFFER) | \
	 BIT(VALUE_SOCKADDR_UN))
#define SEGMENT_TYPES (BIT(VALUE_IOVEC) | BIT(VALUE_IOV_ITER))
#define NUMBER_TYPES (BIT(VALUE_INTEGER) | BIT(VALUE_CAPABILITY) | BIT(VALUE_CAP_SET) | BIT(VALUE_SYSCALL))
#define TASK_FIELDS ~(BIT(FIELD_TGID) - 1)

/* A position below HOOK_VALUES that the verifier believes. */
inline_always u64 bounded(u32 index)
{
	u64 at = index;

	barrier_value(at);
	return at & (HOOK_VALUES - 1);
}

inline_always const volatile struct value_shape *shape_of(u32 index)
{
	return &shape.value[bounded(index)];
}

inline_always u64 object_of(struct hook_scratch *scratch, u32 index)
{
	return scratch->object[bounded(index)];
}

/* Whether step 0 tells where the source lies. */
inline_always bool has_own_step(u32 source)
{
	return source == SOURCE_FIELD || source == SOURCE_RECORD || source == SOURCE_REGISTER;
}

/* From raw bytes to the value, or to where it lies. */
__attribute__((noinline)) u64 resolve(u64 base, u32 index)
{
	const volatile struct value_shape *value;

	if (index >= HOOK_VALUES)
		return 0;
	value = shape_of(index);
	barrier_value(value); /* one pointer that the verifier has seen bounded, for all its parts */
	for (u32 i = has_own_step(value->source); i < RESOLVE_STEPS; i++) {
		if (i >= value->steps)
			break;
		base += value->step[i].offset;
		if (value->step[i].dereference)
			base = load(base, 8);
	}
	return base;
}

inline_always u64 sized(u64 number, u32 size, bool is_signed)
{
	switch (size) {
	case 1:
		return is_signed ? (u64)(signed char)number : (u8)number;
	case 2:
		return is_signed ? (u64)(short)number : (u16)number;
	case 4:
		return is_signed ? (u64)(int)number : (u32)number;
	}
	return number;
}

/* A number in kernel or user memory. */
inline_always u64 fetch(u64 address, u32 flags)
{
	u64 number = 0;

	if (!(flags & VALUE_USER))
		return load(address, 8);
	bpf_probe_read_user(&number, 8, (void *)address);
	return number;
}

__attribute__((noinline)) u64 value_integer(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 number;
	u32 flags, type;

	if (!scratch || index >= HOOK_VALUES)
		return 0;
	number = object_of(scratch, index);
	flags = shape_of(index)->flags;
	type = shape_of(index)->type;
	if (type == VALUE_CAP_SET || type == VALUE_CRED || flags & VALUE_IS_ADDRESS) {
		if (type == VALUE_CRED)
			number = AT(number, struct cred, cap_effective);
		number = fetch(number, flags);
	}
	if (type == VALUE_FD)
		return (int)number;
	if (type != VALUE_INTEGER && type != VALUE_CAPABILITY)
		return number;
	return sized(number, shape_of(index)->size, flags & VALUE_SIGNED);
}

inline_always u64 file_of_descriptor(u32 fd)
{
	u64 files = GET(bpf_get_current_task(), struct task_struct___files, files);
	u64 table = GET(files, struct files_struct, fdt);

	if (fd >= GET(table, struct fdtable, max_fds))
		return 0;
	return load(GET(table, struct fdtable, fd) + 8ULL * fd, 8);
}

/* The file that value `index` means, into scratch->place. Returns 0, or a negative number when there is none. */
__attribute__((noinline)) int path_of_value(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct path_place *place;
	u64 object, path = 0;
	u32 type;

	if (!USES(PATH_TYPES) || !scratch || index >= HOOK_VALUES)
		return FAULT;
	place = &scratch->place;
	if (place->of == index + 1)
		return place->dentry ? 0 : FAULT;
	place->of = index + 1;
	place->dentry = place->mount = place->inode = 0;
	object = object_of(scratch, index);
	type = shape_of(index)->type;
	if (type == VALUE_FD)
		object = file_of_descriptor(value_integer(slot, index));
	else if (type == VALUE_KIOCB)
		object = GET(object, struct kiocb, ki_filp);
	else if (type == VALUE_BINPRM)
		object = GET(object, struct linux_binprm, file);
	if (!object)
		return FAULT;
	if (type == VALUE_DENTRY) {
		place->dentry = object;
	} else {
		path = type == VALUE_PATH ? object : AT(object, struct file, f_path);
		place->dentry = GET(path, struct path, dentry);
		place->mount = GET(path, struct path, mnt);
	}
	if (type == VALUE_DENTRY || type == VALUE_PATH)
		place->inode = GET(place->dentry, struct dentry, d_inode);
	else
		place->inode = GET(object, struct file, f_inode);
	return place->dentry ? 0 : FAULT;
}

inline_always bool is_user(u32 index)
{
	return shape_of(index)->flags & VALUE_USER;
}

/* The path of a unix socket's address; an abstract name begins with '@' in place of its NUL. */
inline_always int read_unix_text(struct hook_scratch *scratch, u64 address, bool user)
{
	u16 family = 0;
	long length;

	scratch->text_flags = 0;
	if (copy_bytes(&family, 2, address, user) || family != FAMILY_UNIX)
		return keep_text(scratch, FAULT);
	length = copy_string(scratch->text, 109, address + 2, user);
	if (length == 1) {
		length = copy_string(scratch->text + 1, 108, address + 3, user);
		if (length > 1) {
			scratch->text[0] = '@';
			length++;
		}
	}
	return keep_text(scratch, length <= 0 ? FAULT : length - 1);
}

/* How many bytes or elements value `index` has, by its size_index. */
inline_always u64 length_of(u32 slot, u32 index)
{
	u32 of = shape_of(index)->size_index;

	return of < HOOK_VALUES ? value_integer(slot, of) : 0;
}

__attribute__((noinline)) int read_buffer_text(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 length;

	if (!USES(BIT(VALUE_BUFFER)) || !scratch || index >= HOOK_VALUES)
		return FAULT;
	scratch->text_flags = 0;
	length = length_of(slot, index);
	barrier_value(length);
	if (length >= TEXT_BYTES) {
		scratch->text_flags = PATH_CUT;
		length = TEXT_BYTES - 1;
	}
	if (copy_bytes(scratch->text, length, object_of(scratch, index), is_user(index)))
		return keep_text(scratch, FAULT);
	return keep_text(scratch, length);
}

#define SEGMENTS 64 /* of an iovec that are looked at */

enum iter_kind { ITER_OTHER, ITER_BUFFER, ITER_SEGMENTS, ITER_KERNEL_SEGMENTS };

inline_always enum iter_kind iter_kind_of(u64 iter)
{
	u32 type;

	if (bpf_core_field_exists(struct iov_iter, iter_type))
		type = GET(iter, struct iov_iter, iter_type);
	else
		type = GET(iter, struct iov_iter___bits, type) & ~1; /* bit 0 is the direction */
	if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) &&
	    type == bpf_core_enum_value(enum iter_type, ITER_UBUF))
		return ITER_BUFFER;
	if (type == bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return ITER_SEGMENTS;
	if (type == bpf_core_enum_value(enum iter_type, ITER_KVEC))
		return ITER_KERNEL_SEGMENTS;
	return ITER_OTHER;
}

inline_always u64 iter_segments(u64 iter)
{
	if (bpf_core_field_exists(struct iov_iter, __iov))
		return GET(iter, struct iov_iter, __iov);
	return GET(iter, struct iov_iter___v63, iov);
}

inline_always u64 iter_buffer(u64 iter)
{
	if (bpf_core_field_exists(struct iov_iter, ubuf))
		return GET(iter, struct iov_iter, ubuf);
	return 0;
}

/* Appends memory to what is gathered in the tail, which holds nothing yet while a call is judged. */
inline_always bool gather(struct hook_scratch *scratch, u64 from, u64 length, bool user)
{
	u64 at = scratch->text_length;

	barrier_value(at);
	barrier_value(length);
	if (at >= TEXT_BYTES)
		return false;
	if (length + at >= TEXT_BYTES) {
		scratch->text_flags = PATH_CUT;
		length = TEXT_BYTES - 1 - at;
		barrier_value(length);
	}
	if (length >= TEXT_BYTES)
		return false;
	barrier_value(length);
	length &= TEXT_BYTES - 1; /* v6.1 forgets what was compared when it is read from the stack again */
	if (length && copy_bytes(&scratch->tail[at], length, from, user))
		return false;
	scratch->text_length = at + length;
	return true;
}

/* Reads one struct iovec (linux/uio.h) of an array, without the `skip` bytes of it that are done already. */
inline_always bool read_segment(u64 *segment, u64 address, u64 skip, u32 flags)
{
	if (copy_bytes(segment, 2 * sizeof(*segment), address, flags & SEGMENTS_USER))
		return false;
	if (skip > segment[1])
		skip = segment[1];
	segment[0] += skip;
	segment[1] -= skip;
	return true;
}

__attribute__((noinline)) int gather_segment(u32 slot, u64 address, u64 skip, u32 flags)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 segment[2] = {};

	if (!scratch || !read_segment(segment, address, skip, flags))
		return 0;
	return gather(scratch, segment[0], segment[1], !(flags & SEGMENTS_OF_KERNEL));
}

inline_always bool gather_segments(u32 slot, u64 array, u64 count, u64 skip, u32 flags)
{
	for (u32 i = 0; i < SEGMENTS && i < count; i++)
		if (!gather_segment(slot, array + 16 * i, i ? 0 : skip, flags))
			return i;
	return true;
}

inline_always bool gather_iter(struct hook_scratch *scratch, u32 slot, u64 iter)
{
	u64 skip = GET(iter, struct iov_iter, iov_offset), count = GET(iter, struct iov_iter, count);
	enum iter_kind kind = iter_kind_of(iter);

	if (kind == ITER_BUFFER)
		return gather(scratch, iter_buffer(iter) + skip, count, true);
	if (kind == ITER_OTHER || !gather_segments(slot, iter_segments(iter), GET(iter, struct iov_iter, nr_segs), skip,
						   kind == ITER_KERNEL_SEGMENTS ? SEGMENTS_OF_KERNEL : 0))
		return false;
	if ((u64)scratch->text_length > count)
		scratch->text_length = count;
	return true;
}

/* What stands in the segments of an iovec or iterator, one behind the other. */
__attribute__((noinline)) int read_segments_text(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u64 object, length;
	bool is_there;

	if (!USES(SEGMENT_TYPES) || !scratch || index >= HOOK_VALUES)
		return FAULT;
	scratch->text_flags = scratch->text_length = 0;
	object = object_of(scratch, index);
	if (shape_of(index)->type == VALUE_IOV_ITER)
		is_there = USES(BIT(VALUE_IOV_ITER)) && gather_iter(scratch, slot, object);
	else
		is_there = gather_segments(slot, object, length_of(slot, index), 0, is_user(index) ? SEGMENTS_USER : 0);
	length = scratch->text_length;
	barrier_value(length);
	if (!is_there || length >= TEXT_BYTES || bpf_probe_read_kernel(scratch->text, length, scratch->tail))
		return keep_text(scratch, FAULT);
	return keep_text(scratch, length);
}

/* A string of a tracepoint's record: at the field stand its offset from the record and, above, its length. */
inline_always u64 record_string(u64 field, u32 index)
{
	return field - shape_of(index)->step[0].offset + (load(field, 4) & 0xffff);
}

inline_always int read_value_text(struct hook_scratch *scratch, u32 slot, u32 index)
{
	u64 object = object_of(scratch, index), kept;

	switch (shape_of(index)->type) {
	case VALUE_FILE:
	case VALUE_PATH:
	case VALUE_DENTRY:
	case VALUE_FD:
	case VALUE_KIOCB:
	case VALUE_BINPRM:
		if (!USES(PATH_TYPES) || path_of_value(slot, index))
			return FAULT;
		return path_text_from(slot, scratch->place.dentry, scratch->place.mount, 0);
	case VALUE_BUFFER:
		return read_buffer_text(slot, index);
	case VALUE_IOVEC:
	case VALUE_IOV_ITER:
		return read_segments_text(slot, index);
	case VALUE_SOCKADDR_UN:
		if (!USES(BIT(VALUE_SOCKADDR_UN)))
			return FAULT;
		kept = kept_value(slot, index);
		return read_unix_text(scratch, kept ? kept : object, !kept && is_user(index));
	case VALUE_DATA_LOC:
		object = record_string(object, index);
		break;
	case VALUE_NET_DEVICE:
		object = AT(object, struct net_device, name);
		break;
	case VALUE_MODULE:
		object = AT(object, struct module, name);
		break;
	case VALUE_STRING:
		kept = kept_value(slot, index);
		if (kept)
			return read_string_text(slot, kept, false);
		break;
	default:
		return FAULT;
	}
	return read_string_text(slot, object, is_user(index));
}

/* The text of value `index`, into scratch->text; its length, or a negative number when it has none. Read once. */
__attribute__((noinline)) int value_text(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);

	if (!USES(PATH_TYPES | STRING_TYPES | SEGMENT_TYPES) || !scratch || index >= HOOK_VALUES)
		return FAULT;
	if (scratch->text_of == index + 1)
		return scratch->text_length;
	scratch->text_length = read_value_text(scratch, slot, index);
	scratch->text_of = index + 1;
	return scratch->text_length;
}

/* Ends of a socket, of a packet or of an address, as scratch->packet tells them. */

inline_always void put_v4(u8 *out, u64 address)
{
	*(u64 *)out = (u32)load(address, 4);
	*(u64 *)(out + 8) = 0;
}

inline_always void put_v6(u8 *out, u64 address)
{
	*(u64 *)out = load(address, 8);
	*(u64 *)(out + 8) = load(address + 8, 8);
}

inline_always u16 swapped(u16 number)
{
	return number << 8 | number >> 8;
}

inline_always void read_sock_ends(struct sent_skb *ends, u64 sock)
{
	ends->family = GET(sock, struct sock, __sk_common.skc_family);
	ends->protocol = GET(sock, struct sock, sk_protocol);
	if (ends->family != FAMILY_INET && ends->family != FAMILY_INET6)
		return;
	ends->sport = GET(sock, struct sock, __sk_common.skc_num);
	ends->dport = swapped(GET(sock, struct sock, __sk_common.skc_dport));
	if (ends->family == FAMILY_INET) {
		put_v4(ends->saddr, AT(sock, struct sock, __sk_common.skc_rcv_saddr));
		put_v4(ends->daddr, AT(sock, struct sock, __sk_common.skc_daddr));
	} else if (bpf_core_field_exists(struct sock, __sk_common.skc_v6_daddr)) {
		put_v6(ends->saddr, AT(sock, struct sock, __sk_common.skc_v6_rcv_saddr));
		put_v6(ends->daddr, AT(sock, struct sock, __sk_common.skc_v6_daddr));
	}
}

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_DCCP 33
#define PROTOCOL_SCTP 132
#define PROTOCOL_UDPLITE 136

inline_always bool has_ports(u32 protocol)
{
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP ||
	       protocol == PROTOCOL_DCCP || protocol == PROTOCOL_UDPLITE;
}

/* Reads the headers that a packet has so far: IP (RFC 791, RFC 8200), then the ports. A packet that has no IP header yet
 * is told by its socket. */
inline_always void read_packet_ends(struct sent_skb *ends, u64 skb)
{
	u64 head = GET(skb, struct sk_buff, head), sock;
	u64 network = GET(skb, struct sk_buff, network_header);
	u64 transport = GET(skb, struct sk_buff, transport_header);
	u64 ip = head + network;
	u32 version = network && network != 0xffff ? load(ip, 1) : 0, header = 40;

	if (version >> 4 == 4) {
		ends->family = FAMILY_INET;
		ends->protocol = load(ip + 9, 1);
		header = (version & 15) * 4;
		put_v4(ends->saddr, ip + 12);
		put_v4(ends->daddr, ip + 16);
	} else if (version >> 4 == 6) {
		ends->family = FAMILY_INET6;
		ends->protocol = load(ip + 6, 1);
		put_v6(ends->saddr, ip + 8);
		put_v6(ends->daddr, ip + 24);
	} else {
		sock = GET(skb, struct sk_buff, sk);
		if (sock)
			read_sock_ends(ends, sock);
		return;
	}
	if (transport == 0xffff || transport <= network)
		transport = network + header;
	if (!has_ports(ends->protocol))
		return;
	ends->sport = swapped(load(head + transport, 2));
	ends->dport = swapped(load(head + transport + 2, 2));
}

/* An address has one end; it answers for both. */
inline_always void read_address_ends(struct sent_skb *ends, u64 address, bool user)
{
	u8 bytes[24] = {};
	u16 family = 0;

	copy_bytes(&family, 2, address, user);
	ends->family = family;
	if (family != FAMILY_INET && family != FAMILY_INET6)
		return;
	if (family == FAMILY_INET6)
		copy_bytes(bytes, 24, address, user);
	else
		copy_bytes(bytes, 8, address, user);
	ends->sport = ends->dport = swapped(*(u16 *)&bytes[2]);
	if (family == FAMILY_INET6) {
		*(u64 *)ends->saddr = *(u64 *)&bytes[8];
		*(u64 *)&ends->saddr[8] = *(u64 *)&bytes[16];
	} else {
		*(u32 *)ends->saddr = *(u32 *)&bytes[4];
	}
	*(u64 *)ends->daddr = *(u64 *)ends->saddr;
	*(u64 *)&ends->daddr[8] = *(u64 *)&ends->saddr[8];
}

inline_always u64 sock_of(u32 type, u64 object)
{
	return type == VALUE_SOCKET && object ? GET(object, struct socket, sk) : object;
}

/* Both ends of value `index`, into scratch->ends. Returns 0, or a negative number when it has none. */
__attribute__((noinline)) int read_ends(u32 slot, u32 index)
{
	struct hook_scratch *scratch = scratch_of(slot);
	struct sent_skb *ends;
	u64 object, kept;
	u32 type;

	if (!USES(ENDS_TYPES) || !scratch || index >= HOOK_VALUES)
		return FAULT;
	ends = &scratch->ends;
	__builtin_memset(ends, 0, sizeof(*ends));
	type = shape_of(index)->type;
	object = sock_of(type, object_of(scratch, index));
	if (!object)
		return FAULT;
	if (type == VALUE_SOCK || type == VALUE_SOCKET)
		read_sock_ends(ends, object);
	else if (USES(BIT(VALUE_SKB)) && type == VALUE_SKB)
		read_packet_ends(ends, object);
	else if (type == VALUE_SOCKADDR) {
		kept = kept_value(slot, index);
		read_address_ends(ends, kept ? kept : object, !kept && is_user(index));
	} else
		return FAULT;
	return 0;
}

/* 16 bytes into scratch->address, IPv4 as ::ffff:a.b.c.d; negative when the value has no such address. */
__attribute__((noinline)) int value_address(u32 slot, u32 index, u32 field)
{
	struct hook_scratch *scratch = scratch_of(slot);
	u8 *from;

	if (!scratch || read_ends(slot, index))
		return FAULT;
	from = field == FIELD_SADDR ? scratch->ends.saddr : scratch->ends.daddr;
	if (scratch->ends.family == FAMILY_INET6) {
		__builtin_memcpy(scratch->address, from, 16);
		return 0;
	}
	if (scratch->ends.family != FAMILY_INET)
		return FAULT;
	*(u64 *)scratch->address = 0;
	*(u32 *)&scratch->address[8] = 0xffff0000;
	*(u32 *)&scratch->address[12] = *(u32 *)from;
	return 0;
}

inline_always u64 end_field(struct hook_scratch *scratch, u32 slot, u32 index, u32 field)
{
	u32 type = shape_of(index)->type;
	u64 sock = sock_of(type, object_of(scratch, index));

	if (field == FIELD_STATE)
		return sock && (type == VALUE_SOCK || type == VALUE_SOCKET)
			       ? GET(sock, struct sock, __sk_common.skc_state)
			       : 0;
	if (read_ends(slot, index))
		return 0;
	switch (field) {
	case FIELD_SPORT:
		return scratch->ends.sport;
	case FIELD_DPORT:
		return scratch->ends.dport;
	case FIELD_PROTOCOL:
		return scratch->ends.protocol;
	}
	return scratch->ends.family;
}

/* The current task. */

inline_always u64 space_inum(u64 space)
{
	return space ? GET(space, struct mnt_namespace, ns.inum) : 0;
}

inline_always u64 numbers_of(u64 pid)
{
	u64 level = GET(pid, struct pid, level);

	if (!pid || level > 32)
		return 0;
	return AT(pid, struct pid, numbers) + level * bpf_core_type_size(struct upid);
}

#define SPACE(type, member)                                       \
	({                                                        \
		u64 space_ = GET(spaces, struct nsproxy, member); \
		space_ ? GET(space_, struct type, ns.inum) : 0;   \
	})

/* Number of one of the task's namespaces, `which` as enum namespace_slot. */
__attribute__((noinline)) u64 task_namespace(u64 task, u32 which)
{
	u64 spaces, space;

	if (!ASKS(BIT(FIELD_NAMESPACE) | BIT(FIELD_NAMESPACE_CHANGED)))
		return 0;
	spaces = GET(task, struct task_struct, nsproxy);
	if (which == NS_USER) {
		space = GET(GET(task, struct task_struct, cred), struct cred, user_ns);
		return GET(space, struct user_namespace, ns.inum);
	}
	if (which == NS_PID) {
		space = GET(numbers_of(GET(task, struct task_struct, thread_pid)), struct upid, ns);
		return space ? GET(space, struct pid_namespace, ns.inum) : 0;
	}
	if (!spaces)
		return 0;
	switch (which) {
	case NS_UTS:
		return SPACE(uts_namespace, uts_ns);
	case NS_IPC:
		return SPACE(ipc_namespace, ipc_ns);
	case NS_MNT:
		return SPACE(mnt_namespace, mnt_ns);
	case NS_PID_CHILDREN:
		return SPACE(pid_namespace, pid_ns_for_children);
	case NS_NET:
		return SPACE(net, net_ns);
	case NS_TIME:
		return SPACE(time_namespace, time_ns);
	case NS_TIME_CHILDREN:
		return SPACE(time_namespace, time_ns_for_children);
	case NS_CGROUP:
		return SPACE(cgroup_namespace, cgroup_ns);
	}
	return 0;
}

inline_always struct exec_state *state_at_exec(u64 task)
{
	u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct exec_state *state = bpf_map_lookup_elem(&exec_states, &tgid);
	u64 leader = GET(task, struct task_struct, group_leader);

	if (!state || state->image_ktime != GET(leader, struct task_struct, start_boottime) +
						    GET(leader, struct task_struct, self_exec_id))
		return NULL;
	return state;
}

/* Bits of the namespaces that are not those of the exec; 0 where that is not known. */
inline_always u64 changed_namespaces(u64 task)
{
	struct exec_state *state = state_at_exec(task);
	u64 changed = 0;

	if (!state)
		return 0;
	for (u32 which = 0; which < NS_COUNT; which++)
		if (task_namespace(task, which) != state->ns[which])
			changed |= 1ULL << which;
	return changed;
}

inline_always u64 capabilities(u64 cred, u32 field, u32 of_host)
{
	u64 space = GET(cred, struct cred, user_ns);

	if (of_host && GET(space, struct user_namespace___owned, level))
		return 0;
	if (field == FIELD_CAP_EFFECTIVE || field == FIELD_CAP_EFFECTIVE_CHANGED)
		return GET(cred, struct cred, cap_effective);
	if (field == FIELD_CAP_PERMITTED || field == FIELD_CAP_PERMITTED_CHANGED)
		return GET(cred, struct cred, cap_permitted);
	return GET(cred, struct cred, cap_inheritable);
}

inline_always u64 changed_capabilities(u64 task, u64 cred, u32 field, u32 of_host)
{
	struct exec_state *state = state_at_exec(task);
	u64 now = capabilities(cred, field, of_host);

	if (!state || (of_host && GET(GET(cred, struct cred, user_ns), struct user_namespace___owned, level)))
		return 0;
	if (field == FIELD_CAP_EFFECTIVE_CHANGED)
		return now ^ state->cap_effective;
	if (field == FIELD_CAP_PERMITTED_CHANGED)
		return now ^ state->cap_permitted;
	return now ^ state->cap_inheritable;
}

/* What a filter looks at of the current task; `other` as enum filter_field says. */
__attribute__((noinline)) u64 task_field(u32 field, u32 other)
{
	u64 task, cred, leader, pid;

	if (!ASKS(TASK_FIELDS))
		return 0;
	task = bpf_get_current_task();
	cred = GET(task, struct task_struct, cred);
	switch (field) {
	case FIELD_TGID:
		return bpf_get_current_pid_tgid() >> 32;
	case FIELD_NSPID:
		leader = GET(task, struct task_struct, group_leader);
		pid = GET(leader, struct task_struct, thread_pid);
		if (!pid || !GET(pid, struct pid, level))
			return 0;
		return GET(numbers_of(pid), struct upid, nr);
	case FIELD_NAMESPACE:
		return task_namespace(task, other);
	case FIELD_NAMESPACE_CHANGED:
		return changed_namespaces(task);
	case FIELD_CAP_EFFECTIVE:
	case FIELD_CAP_PERMITTED:
	case FIELD_CAP_INHERITABLE:
		return capabilities(cred, field, other);
	case FIELD_CAP_EFFECTIVE_CHANGED:
	case FIELD_CAP_PERMITTED_CHANGED:
	case FIELD_CAP_INHERITABLE_CHANGED:
		return changed_capabilities(task, cred, field, other);
	case FIELD_UID:
		return GET(cred, struct cred, uid.val);
	case FIELD_EUID:
		return GET(cred, struct cred, euid.val);
	case FIELD_SUID:
		return GET(cred, struct cred, suid.val);
	case FIELD_FSUID:
		return GET(cred, struct cred, fsuid.val);
	case FIELD_GID:
		return GET(cred, struct cred, gid.val);
	case FIELD_EGID:
		return GET(cred, struct cred, egid.val);
	case FIELD_SGID:
		return GET(cred, struct cred, sgid.val);
	case FIELD_FSGID:
		return GET(cred, struct cred, fsgid.val);
	case FIELD_IN_HOST_USER_NS:
		return !GET(GET(cred, struct cred, user_ns), struct user_namespace___owned, level);
	}
	return 0;
}

/* The number that a filter looks at: of value `index`, or of the current task. */
__attribute__((noinline)) u64 value_field(u32 slot, u32 index, u32 field, u32 other)
{
	struct hook_scratch *scratch = scratch_of(slot);

	if (field >= FIELD_TGID)
		return task_field(field, other);
	if (!scratch || index >= HOOK_VALUES)
		return 0;
	switch (field) {
	case FIELD_INTEGER:
		return value_integer(slot, index);
	case FIELD_FILE_TYPE:
		if (path_of_value(slot, index) || !scratch->place.inode)
			return 0;
		return GET(scratch->place.inode, struct inode, i_mode) >> 12;
	case FIELD_CAP_GAINED:
		return value_integer(slot, other) & ~value_integer(slot, index);
	case FIELD_SPORT:
	case FIELD_DPORT:
	case FIELD_PROTOCOL:
	case FIELD_FAMILY:
	case FIELD_STATE:
		return end_field(scratch, slot, index, field);
	}
	return 0;
}
