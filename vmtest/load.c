// SPDX-License-Identifier: Apache-2.0
/*
 * Does one thing many times and says what it cost: the load of vmtest.bench.
 *
 *   load exec COUNT PROGRAM    fork, exec and wait for the program's end
 *   load open COUNT FILE       open and close
 *   load open COUNT FILE RATE  the same, RATE a second
 *   load getppid COUNT         the cheapest system call there is
 *
 * Compiled with -DTINY it becomes the program to exec: one that ends at once, without a C library.
 */
#include <sys/syscall.h>

#ifdef TINY

void _start(void)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(0));
#elif defined(__aarch64__)
	register long number __asm__("x8") = SYS_exit_group;
	register long status __asm__("x0") = 0;
	__asm__ volatile("svc 0" : : "r"(number), "r"(status));
#else
#error "write down how this architecture ends a process"
#endif
	__builtin_unreachable();
}

#else

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Operations between two looks at the clock. */
#define TOGETHER 50

static long long clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* CPU time of children that were waited for; the kernel gives it in microseconds. */
static long long children_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static void give_up(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void do_exec(const char *program)
{
	char *const arguments[] = {(char *)program, NULL};
	char *const environment[] = {NULL};
	int status;
	pid_t child = fork();

	if (child < 0)
		give_up("fork");
	if (child == 0) {
		execve(program, arguments, environment);
		_exit(127);
	}
	if (waitpid(child, &status, 0) < 0)
		give_up("waitpid");
	if (status != 0) {
		fprintf(stderr, "load: %s ended with status %d\n", program, status);
		exit(1);
	}
}

static void do_open(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		give_up(file);
	close(fd);
}

static void do_getppid(const char *unused)
{
	(void)unused;
	syscall(SYS_getppid);
}

static const struct operation {
	const char *name;
	void (*run)(const char *argument);
	int arguments;
} operations[] = {
	{"exec", do_exec, 1},
	{"open", do_open, 1},
	{"getppid", do_getppid, 0},
};

static const struct operation *find_operation(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

/* Sleep until `done` operations are due. */
static void pace(long long begin, long done, long per_second)
{
	long long due = begin + done * 1000000000LL / per_second;
	struct timespec until = {due / 1000000000LL, due % 1000000000LL};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

int main(int argc, char **argv)
{
	const struct operation *operation = argc > 2 ? find_operation(argv[1]) : NULL;
	long count = argc > 2 ? atol(argv[2]) : 0;
	long per_second = argc == 5 ? atol(argv[4]) : 0;
	long long wall, own, children;

	if (!operation || count < 1 || (argc == 5 && per_second < 1) ||
	    (argc != 5 && argc != 3 + operation->arguments)) {
		fprintf(stderr, "usage: load exec COUNT PROGRAM [RATE] | open COUNT FILE [RATE] | getppid COUNT\n");
		return 2;
	}
	wall = clock_ns(CLOCK_MONOTONIC);
	own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	children = children_ns();
	for (long i = 0; i < count; i++) {
		operation->run(argv[3]);
		if (per_second && i % TOGETHER == TOGETHER - 1)
			pace(wall, i + 1, per_second);
	}
	own = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
	children = children_ns() - children;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	printf("{\"operation\":\"%s\",\"count\":%ld,\"wall_ns\":%lld,\"cpu_ns\":%lld}\n", operation->name, count, wall,
	       own + children);
	return 0;
}

#endif
