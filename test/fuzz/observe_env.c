/*
 * For libFuzzer: the variables that have a program watched from its start: WEFT_TRACE, WEFT_FLIGHT,
 * WEFT_HTTP and WEFT_HTTP_TOKEN. The input is a byte that says which calls fail, and their values,
 * one after the other, with a NUL between them. No file is made, and nobody listens: the calls that
 * would do so are here, and look at what they are asked for.
 *
 * fuzz: objects -Wl,--wrap=wf_os_getenv,--wrap=wf_os_write,--wrap=wf_os_create,--wrap=wf_os_close
 * fuzz: -Wl,--wrap=wf_os_socket,--wrap=wf_os_fchmod,--wrap=wf_os_bind,--wrap=wf_os_listen
 * fuzz: -Wl,--wrap=wf_os_lstat,--wrap=wf_os_connect,--wrap=wf_os_unlink
 * fuzz: -Wl,--wrap=wf_os_setsockopt_int,--wrap=wf_os_thread_start,--wrap=wf_os_sigaction_get
 * fuzz: -Wl,--wrap=wf_tracer_call,--wrap=wf_tracer_flight_file
 * fuzz: src/debug/trace.c src/debug/serve.c src/io/addr.c
 */
#define _GNU_SOURCE
#include "debug/serve.h"
#include "debug/tracer.h"
#include "os/os.h"
#include "sched/hooks.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int __real_wf_os_close(int fd);

enum variable { TRACE, FLIGHT, HTTP, TOKEN, VARIABLES };
enum luck {
	CREATE_FAILS = 1,
	TRACER_FAILS = 2,
	ADDRESS_IS_TAKEN = 4,
	TAKEN_BY_A_SOCKET = 8,
	SOMEBODY_LISTENS = 16,
	LISTEN_FAILS = 32,
};
enum { FILE_FD = 7000, SOCKET_FD, PATH_BYTES = 4096, TOKEN_MAX = 64 };

static const char *const names[VARIABLES]
    = {"WEFT_TRACE", "WEFT_FLIGHT", "WEFT_HTTP", "WEFT_HTTP_TOKEN"};
static char *values[VARIABLES];
static unsigned luck;
static int n_open, n_traces, n_flights, n_sockets;
static bool is_private, was_refused, is_free;	/* what has become of the socket and its file */
static char *told;				/* all that was written on stderr */
static size_t n_told;

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static bool
is_set(enum variable v)
{
	return values[v] != NULL && values[v][0] != '\0';
}

static bool
has(enum luck what)
{
	return (luck & (unsigned)what) != 0;
}

/* What the file is to be called: the first %p is the process's number. */
static void
expect_path(enum variable v, const char *path)
{
	const char *p = strstr(values[v], "%p");
	size_t before = p == NULL ? strlen(values[v]) : (size_t)(p - values[v]);
	char *whole = malloc(strlen(values[v]) + 32);

	require(is_set(v));
	memcpy(whole, values[v], before);
	whole[before] = '\0';
	if (p != NULL)
		(void)sprintf(whole + before, "%d%s", wf_os_pid(), p + 2);
	require(strlen(whole) < PATH_BYTES);	/* a part of the name would be another file */
	require(strcmp(path, whole) == 0);
	free(whole);
}

/* ---- The calls ---- */

#define WRAP(type, name, ...) \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

WRAP(const char *, wf_os_getenv, const char *name)
{
	for (int i = 0; i < VARIABLES; i++)
		if (strcmp(name, names[i]) == 0)
			return values[i];
	return NULL;
}

WRAP(ssize_t, wf_os_write, int fd, const void *buf, size_t n)
{
	require(fd == 2);
	told = realloc(told, n_told + n + 1);
	memcpy(told + n_told, buf, n);
	n_told += n;
	told[n_told] = '\0';
	return (ssize_t)n;
}

WRAP(int, wf_os_create, const char *path, mode_t mode)
{
	require(mode == 0644);
	expect_path(TRACE, path);
	n_traces++;
	if (has(CREATE_FAILS))
		return -EISDIR;
	n_open++;
	return FILE_FD;
}

WRAP(int, wf_os_close, int fd)
{
	if (fd < FILE_FD)
		return __real_wf_os_close(fd);
	n_open--;
	return 0;
}

WRAP(int, wf_tracer_call, const struct tracer_call *call)
{
	if (call->want == TRACER_START)
		require(call->fd == FILE_FD && n_open == 1);
	else
		require(call->want == TRACER_FLIGHT_START && n_flights == 1 && n_open == 0);
	return has(TRACER_FAILS) ? -EAGAIN : 0;
}

WRAP(void, wf_tracer_flight_file, const char *path)
{
	expect_path(FLIGHT, path);
	n_flights++;
}

/* As if the program had a handler of its own. */
WRAP(int, wf_os_sigaction_get, int sig, struct sigaction *ret)
{
	(void)sig;
	(void)ret;
	return -EINVAL;
}

WRAP(int, wf_os_socket, int family, int type, int protocol)
{
	require(type == SOCK_STREAM && protocol == 0 && is_set(HTTP));
	require(family == AF_UNIX || family == AF_INET || family == AF_INET6);
	/* With a token of a length that is refused there is no port. */
	require(family == AF_UNIX || !is_set(TOKEN) || strlen(values[TOKEN]) <= TOKEN_MAX);
	n_open++;
	n_sockets++;
	return SOCKET_FD;
}

WRAP(int, wf_os_fchmod, int fd, mode_t mode)
{
	require(fd == SOCKET_FD && mode == 0600);
	is_private = true;
	return 0;
}

WRAP(int, wf_os_setsockopt_int, int fd, int level, int opt, int value)
{
	require(fd == SOCKET_FD && level == SOL_SOCKET && opt == SO_REUSEADDR && value == 1);
	return 0;
}

/* For this machine only; for this user only when it is a file. */
WRAP(int, wf_os_bind, int fd, const struct sockaddr *a, socklen_t len)
{
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;
	const struct sockaddr_un *un = (const void *)a;

	require(fd == SOCKET_FD);
	if (a->sa_family == AF_INET) {
		require(len == sizeof(*in) && ntohl(in->sin_addr.s_addr) >> 24 == 127);
	} else if (a->sa_family == AF_INET6) {
		require(len == sizeof(*in6) && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
	} else {
		require(a->sa_family == AF_UNIX && is_private && un->sun_path[0] != '\0');
		require(strcmp(un->sun_path, values[HTTP] + strlen("unix:")) == 0);
	}
	return has(ADDRESS_IS_TAKEN) && !is_free ? -EADDRINUSE : 0;
}

WRAP(int, wf_os_lstat, const char *path, struct stat *ret)
{
	require(strcmp(path, values[HTTP] + strlen("unix:")) == 0);
	*ret = (struct stat){.st_mode = has(TAKEN_BY_A_SOCKET) ? S_IFSOCK : S_IFREG};
	return 0;
}

WRAP(int, wf_os_connect, int fd, const struct sockaddr *to, socklen_t len)
{
	require(fd == SOCKET_FD && to->sa_family == AF_UNIX && len != 0);
	was_refused = !has(SOMEBODY_LISTENS);
	return was_refused ? -ECONNREFUSED : 0;
}

/* Only the socket of somebody who is gone. */
WRAP(int, wf_os_unlink, const char *path)
{
	require(strcmp(path, values[HTTP] + strlen("unix:")) == 0);
	require(was_refused && has(TAKEN_BY_A_SOCKET));
	is_free = true;
	return 0;
}

WRAP(int, wf_os_listen, int fd, int backlog)
{
	require(fd == SOCKET_FD && backlog > 0);
	return has(LISTEN_FAILS) ? -EADDRINUSE : 0;
}

/* Never: so each input finds the endpoint off. */
WRAP(int, wf_os_thread_start, void (*fn)(void *), void *arg, size_t stack_bytes, bool block_signals)
{
	(void)fn;
	(void)arg;
	require(stack_bytes != 0 && block_signals);
	return -EAGAIN;
}

/* ---- What is said ---- */

/* The next line on stderr begins with this; what comes after it. */
static const char *
expect_told(const char *at, const char *before, const char *value)
{
	require(at != NULL && strncmp(at, before, strlen(before)) == 0);
	at += strlen(before);
	require(strncmp(at, value, strlen(value)) == 0);
	return at + strlen(value);
}

static void
check_traces(void)
{
	bool trace_fails = is_set(TRACE) && (has(CREATE_FAILS) || has(TRACER_FAILS));
	bool flight_fails = is_set(FLIGHT) && has(TRACER_FAILS);
	const char *at;

	wf_trace_init();
	require(n_traces == is_set(TRACE) && n_flights == is_set(FLIGHT) && n_open == 0);
	at = told;
	if (trace_fails) {
		at = expect_told(at, "weft: WEFT_TRACE=", "");
		at = strstr(at, has(CREATE_FAILS) ? ": Is a directory\n"
		    : ": Resource temporarily unavailable\n");
		require(at != NULL);
	}
	require(trace_fails || flight_fails ? n_told != 0 : n_told == 0);
	if (flight_fails)
		require(strstr(told, "weft: WEFT_FLIGHT=") != NULL);
}

/* It is never on, for want of a thread, so it is said why; and nothing is left open. */
static void
check_http(void)
{
	const char *at;
	char *end;

	n_told = 0;
	wf_serve_from_env();
	require(n_open == 0);
	if (!is_set(HTTP)) {
		require(n_told == 0 && n_sockets == 0);
		return;
	}
	at = expect_told(told, "weft: WEFT_HTTP: can't serve at ", values[HTTP]);
	at = expect_told(at, ": errno ", "");
	require(strtol(at, &end, 10) > 0 && end != at);
	require(strcmp(end, "\n") == 0 || strcmp(end, " (it is unix:PATH, 127.0.0.1:PORT or "
	    "[::1]:PORT)\n") == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text, *at, *end;

	if (n == 0)
		return 0;
	luck = data[0];
	text = at = malloc(n);
	end = text + n - 1;
	memcpy(text, data + 1, n - 1);
	*end = '\0';
	for (int i = 0; i < VARIABLES; i++) {
		values[i] = at <= end ? at : NULL;
		at = at <= end ? at + strlen(at) + 1 : at;
	}
	n_open = n_traces = n_flights = n_sockets = 0;
	is_private = was_refused = is_free = false;
	n_told = 0;
	check_traces();
	check_http();
	for (int i = 0; i < VARIABLES; i++)
		values[i] = NULL;
	free(text);
	return 0;
}
