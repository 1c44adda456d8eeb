// SPDX-License-Identifier: Apache-2.0
/*
 * What the tests need and Python cannot do to itself. Whoever has children prints a line "PID WAIT-STATUS" for each.
 *
 *   helper vfork PROGRAM...          vfork and exec
 *   helper sibling PROGRAM...        a child clones with CLONE_PARENT; that one executes
 *   helper thread PROGRAM...         another thread than the leader executes
 *   helper daemon PROGRAM...         forks twice, the middle one ends before the exec; prints MIDDLE LAST
 *   helper silent PROGRAM...         a child that never executes has a child that does
 *   helper storm PROCESSES           multi-threaded children whose threads end at the same moment
 *   helper statuses                  a child for every exit status
 *   helper signals                   a child for every signal that ends it
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static pthread_barrier_t *gate;
static int variant;
static char **program;

static void reap(pid_t pid)
{
	int status;

	if (pid > 0 && waitpid(pid, &status, __WALL) == pid)
		printf("%d %d\n", pid, status);
}

static void execute(void)
{
	execv(program[0], program);
	_exit(124);
}

static void *execute_thread(void *unused)
{
	execute();
	return unused;
}

static void leave_thread(int code)
{
	syscall(SYS_exit, code);
}

/* How thread `number` of a storming process ends; 0 is the leader. */
static void leave(long number)
{
	switch (variant % 5) {
	case 0: /* each for itself, all at once */
		leave_thread(10 + number);
	case 1: /* each wants to end all: the first one wins */
		syscall(SYS_exit_group, 20 + number);
	case 2: /* the leader first */
		if (number)
			usleep(1000);
		leave_thread(30 + number);
	case 3: /* the leader leaves as POSIX says, the last one ends the process */
		if (!number)
			pthread_exit(NULL);
		if (number < THREADS - 1)
			leave_thread(0);
		usleep(1000);
		exit(40);
	default: /* a signal among exits */
		if (number == 1)
			kill(getpid(), SIGKILL);
		leave_thread(50 + number);
	}
}

static void *storm_thread(void *number)
{
	pthread_barrier_wait(gate);
	leave((long)number);
	return NULL;
}

static void storm_process(void)
{
	pthread_barrier_t here;
	pthread_t thread;

	gate = &here;
	pthread_barrier_init(gate, NULL, THREADS);
	for (long number = 1; number < THREADS; number++)
		if (pthread_create(&thread, NULL, storm_thread, (void *)number))
			_exit(123);
	storm_thread(0);
}

static void storm(int processes)
{
	enum { AT_ONCE = 32 };
	pid_t children[AT_ONCE];

	for (int begun = 0; begun < processes; begun += AT_ONCE) {
		for (int i = 0; i < AT_ONCE; i++) {
			variant = begun + i;
			children[i] = fork();
			if (!children[i])
				storm_process();
		}
		for (int i = 0; i < AT_ONCE; i++)
			reap(children[i]);
	}
}

static void statuses(void)
{
	for (int code = 0; code < 256; code++) {
		pid_t pid = fork();

		if (!pid)
			_exit(code);
		reap(pid);
	}
}

static void signals(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	for (int number = 1; number <= SIGRTMAX; number++) {
		pid_t pid;

		if (number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH ||
		    number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU)
			continue; /* these end nobody */
		pid = fork();
		if (!pid) {
			sigset_t all;

			sigfillset(&all);
			sigprocmask(SIG_UNBLOCK, &all, NULL);
			syscall(SYS_kill, getpid(), number);
			_exit(122);
		}
		reap(pid);
	}
}

static int sibling(void *unused)
{
	(void)unused;
	execute();
	return 0;
}

static void with_sibling(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t middle = fork();
	int status;

	if (!middle) {
		if (clone(sibling, stack + sizeof(stack), CLONE_PARENT | SIGCHLD, NULL) < 0)
			_exit(121);
		_exit(0);
	}
	reap(middle);
	pid_t other = waitpid(-1, &status, __WALL);
	printf("%d %d\n", other, status);
}

static void daemonize(void)
{
	int pipes[2];
	char byte;

	if (pipe(pipes))
		exit(120);
	pid_t middle = fork();
	if (!middle) {
		setsid();
		pid_t last = fork();
		if (!last) {
			close(pipes[1]);
			if (read(pipes[0], &byte, 1)) /* until the middle one and the starter closed their ends */
				_exit(119);
			execute();
		}
		printf("%d %d\n", getpid(), last);
		fflush(stdout);
		_exit(0);
	}
	waitpid(middle, NULL, 0);
}

int main(int count, char **words)
{
	const char *what = count > 1 ? words[1] : "";
	pthread_t thread;

	program = words + 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "vfork")) {
		pid_t pid = vfork();

		if (!pid)
			execute();
		reap(pid);
	} else if (!strcmp(what, "sibling")) {
		with_sibling();
	} else if (!strcmp(what, "thread")) {
		pthread_create(&thread, NULL, execute_thread, NULL);
		pthread_join(thread, NULL);
	} else if (!strcmp(what, "daemon")) {
		daemonize();
	} else if (!strcmp(what, "silent")) {
		pid_t pid = fork();

		if (!pid) {
			pid_t child = fork();

			if (!child)
				execute();
			reap(child);
			_exit(3);
		}
		reap(pid);
	} else if (!strcmp(what, "storm")) {
		storm(atoi(program[0]));
	} else if (!strcmp(what, "statuses")) {
		statuses();
	} else if (!strcmp(what, "signals")) {
		signals();
	} else {
		return 2;
	}
	return 0;
}
