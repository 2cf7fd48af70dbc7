/*
 * weft_lookup: getaddrinfo(3) blocks, for seconds if a name server is gone. So helper goroutines
 * call it, each with a thread of its own meanwhile, HELPERS_MAX at most; more lookups wait in
 * line. Helpers come when there is something to do and go when there is not. The caller parks and
 * may leave before the answer: then the helper throws it away.
 *
 *	QUEUED --helper takes it--> RUNNING --answer--> DONE	the caller frees it
 *	   |                           |
 *	   +-- caller leaves: freed    +-- caller leaves --> ABANDONED	the helper frees it
 */
#define _GNU_SOURCE
#include "io/io.h"

#include "os/os.h"
#include "sched/go.h"
#include "sched/park.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HELPERS_MAX 64			/* Go: 500, of which no server answers all */
#define HELPER_STACK (1024 * 1024)	/* resolver plug-ins (LDAP, mDNS) expect a thread's stack */

enum lookup_state {
	QUEUED,
	RUNNING,
	DONE,
	ABANDONED,
};

/*
 * Life: made by the caller, freed as drawn above. All under lock but the question, which is
 * constant, and the answer, which is the helper's until DONE and then the caller's.
 */
struct lookup {
	struct lookup *next;
	enum lookup_state state;
	struct waiter *waiter;		/* the caller, once it waits */
	struct addrinfo hints;
	const char *host;		/* text, or after it */
	const char *service;		/* likewise, or NULL */
	int result;
	struct addrinfo *answer;
	char text[];
};

static struct wf_lock lock;
static struct lookup *first, *last;	/* QUEUED ones; under lock */
static int nhelpers;			/* under lock */

static int
to_errno(int eai, int system_error)
{
	switch (eai) {
	case 0:
		return 0;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_BADFLAGS:
	case EAI_FAMILY:
	case EAI_SOCKTYPE:
	case EAI_SERVICE:
		return -EINVAL;
	case EAI_SYSTEM:
		return system_error < 0 ? system_error : -EIO;
	default:	/* NONAME, NODATA, ADDRFAMILY, FAIL: asking again is no use */
		return -ENOENT;
	}
}

/* Blocks the thread. */
WF_PARKS static int
ask(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **ret_res)
{
	int eai, system_error;

	wf_blocking_begin();
	eai = wf_os_getaddrinfo(host, service, hints, ret_res, &system_error);
	wf_blocking_end();
	return to_errno(eai, system_error);
}

static bool
is_numeric(const char *host)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return strchr(host, '%') != NULL || inet_pton(AF_INET, host, buf) == 1 ||
	    inet_pton(AF_INET6, host, buf) == 1;
}

/* Nobody needs to be asked who might not answer. */
WF_PARKS static int
lookup_here(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret_res)
{
	struct addrinfo h = {.ai_family = AF_UNSPEC};

	if (hints != NULL)
		h = *hints;
	if (host != NULL)
		h.ai_flags |= AI_NUMERICHOST;
	return ask(host, service, &h, ret_res);
}

static struct lookup *
lookup_new(const char *host, const char *service, const struct addrinfo *hints)
{
	size_t host_bytes = strlen(host) + 1;
	size_t service_bytes = service == NULL ? 0 : strlen(service) + 1;
	struct lookup *l = calloc(1, sizeof(*l) + host_bytes + service_bytes);

	if (l == NULL)
		return NULL;
	memcpy(l->text, host, host_bytes);
	l->host = l->text;
	if (service != NULL)
		l->service = memcpy(l->text + host_bytes, service, service_bytes);
	/* Without hints glibc has defaults that hints of zero do not have. */
	l->hints.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG;
	if (hints != NULL) {
		l->hints.ai_flags = hints->ai_flags;
		l->hints.ai_family = hints->ai_family;
		l->hints.ai_socktype = hints->ai_socktype;
		l->hints.ai_protocol = hints->ai_protocol;
	}
	return l;
}

static void
put_locked(struct lookup *l)
{
	l->next = NULL;
	if (first == NULL)
		first = l;
	else
		last->next = l;
	last = l;
}

static void
remove_locked(struct lookup *l)
{
	struct lookup *before = NULL;

	if (first == l) {
		first = l->next;
	} else {
		for (before = first; before->next != l; before = before->next)
			continue;
		before->next = l->next;
	}
	if (last == l)
		last = before;
}

/* Answers one question, under the lock, also when it returns. */
WF_PARKS static void
answer_locked(struct lookup *l)
{
	struct g *caller = NULL;

	remove_locked(l);
	l->state = RUNNING;
	wf_unlock(&lock);
	l->result = ask(l->host, l->service, &l->hints, &l->answer);
	wf_lock(&lock);
	if (l->state == ABANDONED) {
		wf_unlock(&lock);
		if (l->result == 0)
			wf_os_freeaddrinfo(l->answer);
		free(l);
	} else {
		l->state = DONE;
		if (l->waiter != NULL && wf_claim(l->waiter, 0))
			caller = l->waiter->g;
		wf_unlock(&lock);	/* from here on l may be gone */
		if (caller != NULL)
			wf_ready(caller);
	}
	wf_lock(&lock);
}

static void
help(void *unused)
{
	(void)unused;
	(void)wf_enter();
	wf_lock(&lock);
	while (first != NULL)
		answer_locked(first);
	nhelpers--;
	wf_unlock(&lock);
	wf_leave();
}

/* Puts l in line and sees to it that somebody comes for it. */
static int
submit(struct lookup *l)
{
	const struct wf_go_args args = {
	    .fn = help,
	    .name = "weft_lookup",
	    .stack_size = HELPER_STACK,
	    .caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	int r = 0;

	wf_lock(&lock);
	put_locked(l);
	if (nhelpers == HELPERS_MAX) {
		wf_unlock(&lock);
		return 0;
	}
	nhelpers++;
	wf_unlock(&lock);
	r = wf_go(&args);
	if (r == 0)
		return 0;
	wf_lock(&lock);
	nhelpers--;
	if (nhelpers > 0 || l->state != QUEUED)
		r = 0;	/* another helper has it, or will */
	else
		remove_locked(l);
	wf_unlock(&lock);
	return r;
}

/* Waits for the answer. True: it is there. False: *ret_r says why not, and l is gone. */
WF_PARKS static bool
await(struct lookup *l, int64_t deadline, int *ret_r)
{
	struct waiter w;
	bool is_mine;
	int r;

	wf_lock(&lock);
	if (l->state == DONE) {
		wf_unlock(&lock);
		return true;
	}
	wf_waiter_init(&w, deadline, true);
	l->waiter = &w;
	r = wf_park_unlock(&lock, WAIT_LOOKUP, deadline, true);
	if (r == 0)
		return true;
	wf_lock(&lock);
	if (l->state == DONE) {	/* just in time after all */
		wf_unlock(&lock);
		return true;
	}
	is_mine = l->state == QUEUED;
	if (is_mine)
		remove_locked(l);
	else
		l->state = ABANDONED;
	wf_unlock(&lock);
	if (is_mine)
		free(l);
	*ret_r = r;
	return false;
}

WF_PARKS int
wf_io_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **ret_res, int64_t deadline)
{
	struct lookup *l;
	int r;

	if (host == NULL || is_numeric(host))
		return lookup_here(host, service, hints, ret_res);
	r = wf_park_check(deadline, true);
	if (r < 0)
		return r;
	l = lookup_new(host, service, hints);
	if (l == NULL)
		return -ENOMEM;
	r = submit(l);
	if (r < 0) {
		free(l);
		return r;
	}
	if (!await(l, deadline, &r))
		return r;
	r = l->result;
	if (r == 0)
		*ret_res = l->answer;
	free(l);
	return r;
}

WF_API_PARKS int
weft_lookup(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int64_t deadline)
{
	int r;

	(void)wf_enter();
	r = wf_io_lookup(host, service, hints, res, deadline);
	wf_leave();
	return r;
}
