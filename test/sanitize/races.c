/*
 * A program for ThreadSanitizer, with a weft that was built without it. Without an argument it has
 * no race: whatever goroutines hand each other, by each kind of object, is plain memory that only
 * that object orders. The argument names a race to be planted. This file has goroutines, scopes,
 * timers and descriptors; the others: races.h.
 */
#include "races.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *bug = "";
long shared;
weft_waitgroup group;

int
is(const char *name)
{
	return strcmp(bug, name) == 0;
}

void
check(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

void
crew(void (*fn)(void *), void *arg)
{
	for (int i = 0; i < WORKERS; i++)
		check(weft_waitgroup_go(&group, fn, arg) == 0, "go");
	check(weft_waitgroup_wait(&group, WEFT_FOREVER) == 0, "wait");
}

/* ---- Goroutines, scopes, timers ---- */

static weft_mutex mutex;

static void
add_part(void *arg)
{
	const struct big *b = arg;

	weft_mutex_lock(&mutex);
	shared += b->part[2];
	weft_mutex_unlock(&mutex);
	weft_waitgroup_done(&group);
}

static int
add_in_scope(void *arg)
{
	long *p = arg;

	*p += 1;
	weft_yield();
	return 0;
}

static int
wait_for_cancel(void *arg)
{
	long *why = arg;

	(void)weft_chan_recv(NULL, NULL, WEFT_FOREVER);
	check(weft_scope_err(weft_scope_current()) == -ECANCELED, "cancelled");
	check(*why == 9, "what was written before the cancellation");
	return 0;
}

static void
goroutines(void)
{
	struct big b = { { 0, 0, 1, 0, 0 } };
	weft_go_options o = {
		.size = sizeof(o), .name = "part", .copy = &b, .copy_size = sizeof(b),
	};

	for (int i = 0; i < ROUNDS; i++) {
		weft_waitgroup_add(&group, 1);
		check(weft_go_with(&o, add_part, NULL) == 0, "go_with");
		b.part[2]++;		/* it has a copy */
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}

static void
scopes(void)
{
	static long parts[WORKERS], why;
	weft_scope *s;

	for (int round = 0; round < 20; round++) {
		s = weft_scope_new(NULL, WEFT_FOREVER);
		for (int i = 0; i < WORKERS; i++)
			weft_scope_go(s, add_in_scope, &parts[i]);
		check(weft_scope_wait(s, WEFT_FOREVER) == 0, "scope");
		for (int i = 0; i < WORKERS; i++)
			check(parts[i] == round + 1, "what a goroutine of the scope has done");
		weft_scope_free(s);
	}
	s = weft_scope_new(NULL, WEFT_FOREVER);
	why = 0;
	for (int i = 0; i < WORKERS; i++)
		weft_scope_go(s, wait_for_cancel, &why);
	why = 9;
	weft_scope_cancel(s, 0);
	weft_scope_free(s);
	why = 0;
}

static void
timer_fires(void *arg)
{
	*(long *)arg += 1;
	weft_waitgroup_done(&group);
}

static void
timers(void)
{
	static long fired[WORKERS];
	weft_timer *t[WORKERS];
	weft_timer *after = weft_timer_new(weft_in(1000000), 0, NULL, NULL);
	int64_t when;

	for (int i = 0; i < WORKERS; i++) {
		fired[i] = 1;
		weft_waitgroup_add(&group, 1);
		t[i] = weft_timer_new(weft_in(1000 * i), 0, timer_fires, &fired[i]);
		check(t[i] != NULL, "timer");
	}
	weft_waitgroup_wait(&group, WEFT_FOREVER);
	for (int i = 0; i < WORKERS; i++) {
		check(fired[i] == 2, "timer's function");
		weft_timer_free(t[i]);
	}
	check(weft_chan_recv(weft_timer_chan(after), &when, WEFT_FOREVER) == 1, "after");
	weft_timer_free(after);
	weft_sleep(100000);
}

/* ---- Bytes ---- */

struct end {
	int fd;
	long *note;
};

static void
write_note(void *arg)
{
	struct end *e = arg;

	for (int i = 1; i <= ROUNDS; i++) {
		e->note[i] = i;
		check(weft_write(e->fd, &i, sizeof(i), WEFT_FOREVER) == sizeof(i), "write");
	}
	weft_close(e->fd);
}

static void
bytes_through(int fd[2], long *note)
{
	struct end e = { fd[1], note };
	int n;

	weft_waitgroup_go(&group, write_note, &e);
	while (weft_read(fd[0], &n, sizeof(n), WEFT_FOREVER) == sizeof(n))
		check(note[n] == n, "what was written before the bytes");
	weft_close(fd[0]);
	weft_waitgroup_wait(&group, WEFT_FOREVER);
}

static void
bytes(void)
{
	static long piped[ROUNDS + 1], sent[ROUNDS + 1];
	int fd[2];

	check(pipe(fd) == 0, "pipe");
	bytes_through(fd, piped);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0, "socketpair");
	bytes_through(fd, sent);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		bug = argv[1];
	weft_gomaxprocs(4);
	channels();
	locks();
	goroutines();
	scopes();
	timers();
	bytes();
	races();
	return 0;
}
