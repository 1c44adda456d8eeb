// SPDX-License-Identifier: Apache-2.0
/*
 * What policies of the library watch, done once each; a failed call is no failure (its errno is the exit status): many
 * are made so that nothing can happen. Words that begin with `ring-` do it through io_uring, without system
 * calls of their own.
 *
 *   act room DIR... -- PROGRAM...    in a mount namespace with an empty file system on each DIR
 *   act net ADDRESS... -- PROGRAM... in a network namespace whose loopback has these addresses
 *   act as UID PROGRAM...            as another user
 *   act run PROGRAM...               forks, and executes it
 *   act open PATH r|w|t              for reading, writing, cutting; ring-open likewise
 *   act ring-rename FROM TO, act ring-unlink PATH
 *   act connect ADDRESS PORT; ring-connect; act shake ADDRESS PORT: listens, connects to itself, accepts; ring-shake
 *   act send ADDRESS PORT [connected]; ring-send: one UDP message
 *   act unix PATH; ring-unix: listens there and connects to itself
 *   act socket FAMILY TYPE; act memfd PROGRAM; act setuid UID; act setgid GID; act raise; act attach; act traceme
 *   act vmread PID; act filter; act detach; act settime; act adjtimex MODES; act reboot; act setns PATH
 *   act setcap PATH; act newuser; act ring; act kill PID SIGNAL; act handle DIR: opens a file there by a handle of nothing
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

struct address {
	struct sockaddr_storage content;
	socklen_t length;
};

static struct address ip(const char *text, const char *port)
{
	struct address made = {};
	struct sockaddr_in *four = (void *)&made.content;
	struct sockaddr_in6 *six = (void *)&made.content;

	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(atoi(port));
		made.length = sizeof(*four);
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(atoi(port));
		made.length = sizeof(*six);
	}
	return made;
}

static struct address named(const char *path)
{
	struct address made = {.length = sizeof(struct sockaddr_un)};
	struct sockaddr_un *name = (void *)&made.content;

	name->sun_family = AF_UNIX;
	strncpy(name->sun_path, path, sizeof(name->sun_path) - 1);
	return made;
}

/* One request through a ring of its own (io_uring_setup(2), io_uring_enter(2)); the result as the system call's
 * would be. */
static int through_ring(struct io_uring_sqe request)
{
	struct io_uring_params params = {};
	int ring = syscall(SYS_io_uring_setup, 1, &params);
	size_t size = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
	size_t least = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	char *rings;
	struct io_uring_sqe *entries;
	struct io_uring_cqe *done;

	if (ring < 0)
		return -1;
	size = size > least ? size : least; /* both rings are one mapping (IORING_FEAT_SINGLE_MMAP, v5.4) */
	rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (rings == MAP_FAILED || entries == MAP_FAILED)
		return -1;
	entries[0] = request;
	((uint32_t *)(rings + params.sq_off.array))[0] = 0;
	__atomic_store_n((uint32_t *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	done = (void *)(rings + params.cq_off.cqes);
	if (done->res >= 0)
		return done->res;
	errno = -done->res;
	return -1;
}

static int opening(const char *path, const char *how, int ring)
{
	int flags = *how == 'r' ? O_RDONLY : *how == 't' ? O_WRONLY | O_TRUNC : O_WRONLY | O_CREAT;

	if (!ring)
		return open(path, flags, 0644);
	return through_ring((struct io_uring_sqe){
		.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)path, .open_flags = flags, .len = 0644});
}

static int connecting(int fd, struct address to, int ring)
{
	if (!ring)
		return connect(fd, (void *)&to.content, to.length);
	return through_ring((struct io_uring_sqe){
		.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)&to.content, .off = to.length});
}

static int sending(struct address to, int connected, int ring)
{
	int fd = socket(to.content.ss_family, SOCK_DGRAM, 0);
	struct iovec part = {.iov_base = "?", .iov_len = 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (connected)
		connect(fd, (void *)&to.content, to.length);
	else
		message.msg_name = &to.content, message.msg_namelen = to.length;
	if (!ring)
		return sendmsg(fd, &message, 0);
	return through_ring(
		(struct io_uring_sqe){.opcode = IORING_OP_SENDMSG, .fd = fd, .addr = (uintptr_t)&message, .len = 1});
}

/* Listens, connects to itself from a child, accepts. */
static int shaking(struct address at, int ring)
{
	int one = 1, fd = socket(at.content.ss_family, SOCK_STREAM, 0), from;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&at.content, at.length) || listen(fd, 1))
		return -1;
	from = socket(at.content.ss_family, SOCK_STREAM, 0);
	if (connecting(from, at, ring))
		return -1;
	if (!ring)
		return accept(fd, NULL, NULL);
	return through_ring((struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = fd});
}

static int execute(char **program)
{
	execv(program[0], program);
	return -1;
}

static int running(char **program)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execute(program);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return 0;
}

static int after_dashes(char **words)
{
	while (*words && strcmp(*words, "--"))
		words++;
	return *words ? execute(words + 1) : -1;
}

static int room(char **words)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	for (char **place = words; *place && strcmp(*place, "--"); place++)
		if (mount("room", *place, "tmpfs", 0, NULL))
			return -1;
	return after_dashes(words);
}

static int net(char **words)
{
	int number = 0, fd;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (char **text = words; *text && strcmp(*text, "--"); text++) {
		struct ifreq request = {};
		struct address address = ip(*text, "0");

		snprintf(request.ifr_name, IFNAMSIZ, number ? "lo:%d" : "lo", number);
		number++;
		memcpy(&request.ifr_addr, &address.content, sizeof(request.ifr_addr));
		if (ioctl(fd, SIOCSIFADDR, &request))
			return -1;
		request.ifr_flags = IFF_UP | IFF_RUNNING;
		if (ioctl(fd, SIOCSIFFLAGS, &request))
			return -1;
	}
	return after_dashes(words);
}

static int open_by_handle(const char *directory)
{
	struct {
		struct file_handle head;
		unsigned char id[8];
	} handle = {.head = {.handle_bytes = 8, .handle_type = 1}};

	return open_by_handle_at(open(directory, O_RDONLY), &handle.head, O_RDONLY);
}

static int from_memory(const char *path)
{
	char *program[] = {"from-memory", NULL};
	char buffer[65536];
	int from = open(path, O_RDONLY), to = syscall(SYS_memfd_create, "act", 0);

	for (ssize_t count; (count = read(from, buffer, sizeof(buffer))) > 0;)
		if (write(to, buffer, count) != count)
			return -1;
	return syscall(SYS_execveat, to, "", program, environ, AT_EMPTY_PATH);
}

/* Lays down what it may do and takes it up again: root loses nothing that way. */
static int raise_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct all[2], none[2];

	if (syscall(SYS_capget, &header, all))
		return -1;
	memcpy(none, all, sizeof(all));
	none[0].effective = none[1].effective = 0;
	return syscall(SYS_capset, &header, none) || syscall(SYS_capset, &header, all) ? -1 : 0;
}

static int attach(void)
{
	pid_t child = fork();
	int done;

	if (!child) {
		pause();
		_exit(0);
	}
	done = ptrace(PTRACE_ATTACH, child, NULL, NULL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return done;
}

static int read_memory(pid_t pid)
{
	char byte;
	struct iovec here = {&byte, 1}, there = {(void *)execute, 1};

	return process_vm_readv(pid, &here, 1, &there, 1, 0) < 0 ? -1 : 0;
}

static int filter(void)
{
	struct bpf_insn nothing[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
			       .insn_cnt = 2,
			       .insns = (uintptr_t)nothing,
			       .license = (uintptr_t) "GPL"};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
}

static int set_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now);
}

static int set_capability(const char *path)
{
	struct vfs_cap_data content = {.magic_etc = VFS_CAP_REVISION_2};

	content.data[0].permitted = 1 << CAP_NET_RAW;
	return setxattr(path, "security.capability", &content, sizeof(content), 0);
}

static int act(const char *what, char **words)
{
	int ring = !strncmp(what, "ring-", 5);
	union bpf_attr bad = {.link_detach.link_fd = -1};
	struct io_uring_params params = {};
	struct timex change = {};

	what += ring ? 5 : 0;
	if (!strcmp(what, "room"))
		return room(words);
	if (!strcmp(what, "net"))
		return net(words);
	if (!strcmp(what, "as"))
		return setgid(atoi(words[0])) || setuid(atoi(words[0])) ? -1 : execute(words + 1);
	if (!strcmp(what, "run"))
		return running(words);
	if (!strcmp(what, "open"))
		return opening(words[0], words[1], ring);
	if (!strcmp(what, "rename"))
		return through_ring((struct io_uring_sqe){.opcode = IORING_OP_RENAMEAT,
							  .fd = AT_FDCWD,
							  .addr = (uintptr_t)words[0],
							  .addr2 = (uintptr_t)words[1],
							  .len = AT_FDCWD});
	if (!strcmp(what, "unlink"))
		return through_ring((struct io_uring_sqe){
			.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = (uintptr_t)words[0]});
	if (!strcmp(what, "connect")) {
		struct address to = ip(words[0], words[1]);

		return connecting(socket(to.content.ss_family, SOCK_STREAM, 0), to, ring);
	}
	if (!strcmp(what, "shake"))
		return shaking(ip(words[0], words[1]), ring);
	if (!strcmp(what, "send"))
		return sending(ip(words[0], words[1]), words[2] != NULL, ring);
	if (!strcmp(what, "unix"))
		return shaking(named(words[0]), ring);
	if (!strcmp(what, "socket"))
		return socket(atoi(words[0]), atoi(words[1]), 0);
	if (!strcmp(what, "memfd"))
		return from_memory(words[0]);
	if (!strcmp(what, "setuid"))
		return setuid(atoi(words[0]));
	if (!strcmp(what, "setgid"))
		return setgid(atoi(words[0]));
	if (!strcmp(what, "raise"))
		return raise_capabilities();
	if (!strcmp(what, "attach"))
		return attach();
	if (!strcmp(what, "traceme"))
		return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	if (!strcmp(what, "vmread"))
		return read_memory(atoi(words[0]));
	if (!strcmp(what, "filter"))
		return filter();
	if (!strcmp(what, "detach"))
		return syscall(SYS_bpf, BPF_LINK_DETACH, &bad, sizeof(bad));
	if (!strcmp(what, "settime"))
		return set_time();
	if (!strcmp(what, "adjtimex"))
		return change.modes = atoi(words[0]), adjtimex(&change);
	if (!strcmp(what, "reboot"))
		return syscall(SYS_reboot, 0, 0, 0, NULL); /* no magic numbers: EINVAL */
	if (!strcmp(what, "setns"))
		return setns(open(words[0], O_RDONLY), 0);
	if (!strcmp(what, "setcap"))
		return set_capability(words[0]);
	if (!strcmp(what, "newuser"))
		return unshare(CLONE_NEWUSER);
	if (!strcmp(what, "handle"))
		return open_by_handle(words[0]);
	if (!strcmp(what, "ring"))
		return syscall(SYS_io_uring_setup, 1, &params);
	if (!strcmp(what, "kill"))
		return kill(atoi(words[0]), atoi(words[1]));
	errno = ENOSYS;
	return -1;
}

int main(int count, char **words)
{
	int error;

	if (count > 1 && act(words[1], words + 2) >= 0)
		return 0;
	error = errno;
	perror(words[1]);
	return error ? error : 1;
}
