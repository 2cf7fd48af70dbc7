/*
 * weft_lookup: getaddrinfo(3) blocks, for seconds if a name server is gone. So helper goroutines
 * call it, each with a thread of its own meanwhile, HELPERS_MAX at most; more lookups wait in
 * line. Helpers come when there is something to do and go when there is not. A question that
 * is under way is not asked a second time (Go: singleflight): whoever has the same one waits
 * for the same answer and gets a copy. Askers park, and may leave before the answer.
 *
 *	QUEUED --helper takes it--> RUNNING --answer--> DONE	the last asker frees it,
 *	   |							or the helper if there is none
 *	   +-- the last asker leaves: freed
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
#define HELPER_STACK ((size_t)1 << 20)	/* resolver plug-ins (LDAP, mDNS) expect a thread's stack */

#define BUCKETS 64

enum lookup_state {
	QUEUED,
	RUNNING,
	DONE,
};

/*
 * Life: made by the first asker, freed as drawn above. All under lock but the question, which is
 * constant, and the answer, which is the helper's until DONE, and then constant while there is
 * more than one asker.
 */
struct lookup {
	struct lookup *next;		/* in the queue */
	struct lookup *bucket_next;	/* in its bucket, until DONE */
	uint32_t hash;			/* constant */
	enum lookup_state state;
	uint32_t askers;		/* those that have not left */
	struct waitq waiters;		/* those of them that wait */
	struct addrinfo hints;
	const char *host;		/* text, or after it */
	const char *service;		/* likewise, or NULL */
	int result;
	struct addrinfo *answer;
	char text[];
};

static struct wf_lock lock;
static struct lookup *first WF_GUARDED_BY(lock), *last WF_GUARDED_BY(lock);	/* QUEUED ones */
static struct lookup *buckets[BUCKETS] WF_GUARDED_BY(lock);	/* QUEUED and RUNNING ones */
static int nhelpers WF_GUARDED_BY(lock);

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

static uint32_t
hash_of(const char *host)
{
	uint32_t h = 2166136261u;	/* FNV-1a */

	for (; *host != '\0'; host++)
		h = (h ^ (unsigned char)*host) * 16777619u;
	return h;
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
	l->hash = hash_of(host);
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

static bool
is_same(const struct lookup *a, const struct lookup *b)
{
	if (a->hash != b->hash || strcmp(a->host, b->host) != 0 ||
	    a->hints.ai_flags != b->hints.ai_flags || a->hints.ai_family != b->hints.ai_family ||
	    a->hints.ai_socktype != b->hints.ai_socktype ||
	    a->hints.ai_protocol != b->hints.ai_protocol)
		return false;
	if (a->service == NULL || b->service == NULL)
		return a->service == b->service;
	return strcmp(a->service, b->service) == 0;
}

/* The same question, if it is under way. */
static struct lookup *
find_locked(const struct lookup *l)
    WF_HOLDS(lock)
{
	struct lookup *other = buckets[l->hash % BUCKETS];

	while (other != NULL && !is_same(other, l))
		other = other->bucket_next;
	return other;
}

static void
put_locked(struct lookup *l)
    WF_HOLDS(lock)
{
	l->bucket_next = buckets[l->hash % BUCKETS];
	buckets[l->hash % BUCKETS] = l;
	l->next = NULL;
	if (first == NULL)
		first = l;
	else
		last->next = l;
	last = l;
}

/* Nobody else shall join it. */
static void
unlist_locked(struct lookup *l)
    WF_HOLDS(lock)
{
	struct lookup **at = &buckets[l->hash % BUCKETS];

	while (*at != l)
		at = &(*at)->bucket_next;
	*at = l->bucket_next;
}

static void
remove_locked(struct lookup *l)
    WF_HOLDS(lock)
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

static void
lookup_free(struct lookup *l)
{
	if (l->answer != NULL)
		wf_os_freeaddrinfo(l->answer);
	free(l);
}

/* The answer is there, or there will be none. Under the lock. */
static void
finish_locked(struct lookup *l, struct gqueue *ready)
    WF_HOLDS(lock)
{
	struct waiter *w;

	l->state = DONE;
	unlist_locked(l);
	while ((w = waitq_take(&l->waiters)) != NULL)
		if (wf_claim(w, 0))
			gqueue_put(ready, w->g);
}

/* Answers one question, under the lock, also when it returns. */
WF_PARKS static void
answer_locked(struct lookup *l)
    WF_HOLDS(lock)
{
	struct gqueue ready = {0};
	bool unwanted;

	remove_locked(l);
	l->state = RUNNING;
	wf_unlock(&lock);
	l->result = ask(l->host, l->service, &l->hints, &l->answer);
	wf_lock(&lock);
	finish_locked(l, &ready);
	unwanted = l->askers == 0;
	wf_unlock(&lock);	/* from here on l may be gone, unless it is ours */
	if (unwanted)
		lookup_free(l);
	wf_ready_all(&ready);
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

/* Sees to it that somebody comes for l, which is in line. Under the lock, also afterwards. */
static int
get_helper_locked(struct lookup *l)
    WF_HOLDS(lock)
{
	const struct wf_go_args args = {
	    .fn = help,
	    .name = "weft_lookup",
	    .stack_size = HELPER_STACK,
	    .is_nobodys = true,
	    .caller_pc = (uintptr_t)__builtin_return_address(0),
	};
	int r;

	if (nhelpers == HELPERS_MAX)
		return 0;
	nhelpers++;
	wf_unlock(&lock);
	r = wf_go(&args);
	wf_lock(&lock);
	if (r == 0)
		return 0;
	nhelpers--;
	return nhelpers > 0 || l->state != QUEUED ? 0 : r;	/* another has it, or will */
}

/* An asker leaves, with the answer or without. Under the lock, which it releases. */
static void
leave_locked(struct lookup *l)
    WF_GIVES_BACK(lock)
{
	bool is_mine = --l->askers == 0 && l->state != RUNNING;

	if (is_mine && l->state == QUEUED) {
		remove_locked(l);
		unlist_locked(l);
	}
	wf_unlock(&lock);
	if (is_mine)
		lookup_free(l);
}

/* Waits for the answer: 0, or why not. */
WF_PARKS static int
await(struct lookup *l, int64_t deadline)
{
	struct waiter w;
	int r;

	wf_lock(&lock);
	if (l->state == DONE) {
		wf_unlock(&lock);
		return 0;
	}
	wf_waiter_init(&w, deadline, true);
	waitq_put(&l->waiters, &w);
	r = wf_park_unlock(&lock, WAIT_LOOKUP, deadline, true);
	if (r == 0)
		return 0;
	wf_lock(&lock);
	(void)waitq_remove(&l->waiters, &w);
	if (l->state == DONE)	/* just in time after all */
		r = 0;
	wf_unlock(&lock);
	return r;
}

/* What the caller of weft_lookup() gets: the answer itself if nobody else waits for it. */
static int
take_answer(struct lookup *l, struct addrinfo **ret_res)
{
	struct addrinfo *res = NULL;

	if (l->result < 0)
		return l->result;
	wf_lock(&lock);
	if (l->askers == 1) {	/* and no more can come */
		res = l->answer;
		l->answer = NULL;
	}
	wf_unlock(&lock);
	if (res == NULL)
		res = wf_addrinfo_copy(l->answer);
	if (res == NULL)
		return -ENOMEM;
	*ret_res = res;
	return 0;
}

/* Joins the same question if it is under way, else asks l. What is not needed is freed. */
static int
join(struct lookup *l, struct lookup **ret_joined)
{
	struct lookup *other;
	int r = 0;

	wf_lock(&lock);
	other = find_locked(l);
	if (other != NULL) {
		other->askers++;
	} else {
		put_locked(l);
		l->askers++;
		r = get_helper_locked(l);
	}
	if (r < 0) {
		struct gqueue ready = {0};

		/* Others may have joined meanwhile. */
		remove_locked(l);
		l->result = r;
		finish_locked(l, &ready);
		leave_locked(l);
		wf_ready_all(&ready);
		return r;
	}
	wf_unlock(&lock);
	if (other != NULL)
		free(l);
	*ret_joined = other != NULL ? other : l;
	return 0;
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
	r = join(l, &l);
	if (r < 0)
		return r;
	r = await(l, deadline);
	if (r == 0)
		r = take_answer(l, ret_res);
	wf_lock(&lock);
	leave_locked(l);
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
