/*
 * weft_flight: one execution for all who ask for the same key at the same time. Protocol:
 * README.md, "Flight", whose steps are cited here.
 */
#include <weft/flight.h>
#include <weft/go.h>
#include <weft/panic.h>

#include "base/assert.h"
#include "sched/go.h"
#include "sched/panic.h"
#include "sync/waitlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024	/* as weft_panic() */

/* How the work of a call has ended. */
enum outcome {
	UNDER_WAY,
	RETURNED,
	PANICKED,
	EXITED,			/* weft_goexit() */
};

/*
 * Life: the user's, all zero at first.
 *
 *   l  under lock
 */
struct flight {
	struct wf_lock lock;
	struct call *root;	/* l  the calls to be joined, by hash: see slot_of() */
};

_Static_assert(sizeof(struct flight) <= sizeof(weft_flight), "weft_priv is too small");

/*
 * One execution. Life: made by the first who asks, freed by the last who has a reference: its own
 * goroutine, and each that waits for it or is about to.
 *
 *   c  constant
 *   l  under the flight's lock
 *   o  the work's, until it has ended; then constant
 */
struct call {
	int (*fn)(void *);		/* c  first: GF_WRAPPED */
	struct call *child[2];		/* l */
	struct flight *flight;		/* c */
	size_t key_size, data_size;	/* c */
	uint64_t hash;			/* c  of the key */
	uint32_t refs;			/* l */
	enum outcome outcome;		/* l */
	bool can_be_joined;		/* l  stands below flight->root */
	int result;			/* o */
	char *text;			/* o  of the panic, or NULL: no memory */
	struct waitlist waiters;	/* l */
	_Alignas(16) unsigned char data[];	/* o  then key_size bytes of key, constant */
};

/* What is asked for, as the calls below pass it on. */
struct question {
	struct flight *flight;
	const void *key;
	size_t key_size;
	uint64_t hash;
};

/* ---- Calls by key ---- */

/* FNV-1a, seeded with an address that others can't know, and mixed, for the top bits come first. */
static uint64_t
hash_of(const struct flight *f, const unsigned char *key, size_t size)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ (uintptr_t)f;

	for (size_t i = 0; i < size; i++)
		h = (h ^ key[i]) * UINT64_C(1099511628211);
	h = (h ^ (h >> 32)) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 29);
}

static inline bool
is_for(const struct call *c, const struct question *q)
{
	return c->hash == q->hash && c->key_size == q->key_size
	    && (q->key_size == 0 || memcmp(c->data + c->data_size, q->key, q->key_size) == 0);
}

/*
 * Where the call for a key stands, or would: a binary tree in which each bit of the hash, from the
 * top, says which way to go, and every node is a call. It needs no memory of its own.
 */
static struct call **
slot_of(const struct question *q)
{
	struct call **at = &q->flight->root;

	for (uint64_t h = q->hash; *at != NULL && !is_for(*at, q); h <<= 1)
		at = &(*at)->child[h >> 63];
	return at;
}

/* Any leaf below may take the place of a call, because it shares the bits that led there. */
static void
slot_clear(struct call **at)
{
	struct call *c = *at, *last;
	struct call **leaf = at;

	while ((*leaf)->child[0] != NULL || (*leaf)->child[1] != NULL)
		leaf = &(*leaf)->child[(*leaf)->child[0] == NULL];
	last = *leaf;
	*leaf = NULL;
	if (last != c) {
		last->child[0] = c->child[0];
		last->child[1] = c->child[1];
		*at = last;
	}
	c->can_be_joined = false;
}

/* ---- The work ---- */

static void
call_free(struct call *c)
{
	wf_race_acquire(c);
	free(c->text);
	free(c);
}

/* J4. True: nobody hears of it. Outside the runtime; c may be gone afterwards. */
static bool
finish(struct call *c, enum outcome outcome)
{
	struct flight *f = c->flight;
	struct gqueue ready = {0};
	struct waiter *w;
	bool is_last;

	wf_race_release(c);
	wf_enter();
	wf_lock(&f->lock);
	wf_race_hide();
	c->outcome = outcome;
	if (c->can_be_joined) {
		struct question q = {f, c->data + c->data_size, c->key_size, c->hash};

		slot_clear(slot_of(&q));
	}
	wf_race_show();
	while ((w = waitlist_take(&c->waiters)) != NULL)
		if (wf_claim(w, 0))
			gqueue_put(&ready, w->g);
	is_last = --c->refs == 0;
	WF_POINT("flight.finished");
	wf_unlock(&f->lock);		/* The last touch. */
	wf_ready_all(&ready);
	wf_leave();
	if (is_last)
		call_free(c);
	return is_last;
}

/* The work calls weft_goexit(). */
static void
cut_short(void *c)
{
	(void)finish(c, EXITED);
}

static void
invoke(void *arg)
{
	struct call *c = arg;

	c->result = c->fn(c->data);
}

/* J3: the goroutine of a call. */
static WF_PARKS void
run(void *arg)
{
	struct call *c = arg;
	struct wf_defer defer;
	char text[TEXT_MAX];
	bool panicked;

	wf_enter();
	wf_defer_push(&defer, cut_short, c);
	wf_leave();
	panicked = weft_try(invoke, c, text, sizeof(text)) != 0;
	wf_enter();
	wf_defer_remove(&defer);
	wf_leave();
	if (panicked)
		c->text = strdup(text);
	if (finish(c, panicked ? PANICKED : RETURNED) && panicked)
		weft_panic("%s", text);
}

/* ---- Asking ---- */

static struct call *
call_new(const struct question *q, int (*fn)(void *), const void *data, size_t data_size)
{
	struct call *c;
	size_t size;

	if (__builtin_add_overflow(data_size, q->key_size, &size)
	    || size > PTRDIFF_MAX - sizeof(*c))
		return NULL;
	c = malloc(sizeof(*c) + size);
	if (c == NULL)
		return NULL;
	*c = (struct call){
		.flight = q->flight,
		.fn = fn,
		.key_size = q->key_size,
		.data_size = data_size,
		.hash = q->hash,
		.refs = 1,		/* its goroutine's */
		.can_be_joined = true,
	};
	if (data_size > 0)
		memcpy(c->data, data, data_size);
	if (q->key_size > 0)
		memcpy(c->data + data_size, q->key, q->key_size);
	return c;
}

/* J1, J2: the call for the key, with a reference, or NULL. spare, if given, is used if there is
 * none. */
static struct call *
join(const struct question *q, struct call *spare)
{
	struct call **at, *c;

	wf_enter();
	wf_lock(&q->flight->lock);
	wf_race_hide();
	at = slot_of(q);
	wf_race_show();
	if (*at == NULL)
		*at = spare;
	c = *at;
	if (c != NULL)
		c->refs++;
	wf_unlock(&q->flight->lock);
	wf_leave();
	return c;
}

/* J2: the first who asks. NULL: no memory. */
static struct call *
join_or_start(const struct question *q, int (*fn)(void *), const void *data, size_t data_size,
    uintptr_t caller_pc)
{
	struct call *spare = call_new(q, fn, data, data_size), *c;
	struct wf_go_args args = {
		.fn = run,
		.arg = spare,
		.is_wrapper = true,
		.caller_pc = caller_pc,
	};
	int r;

	if (spare == NULL)
		return NULL;
	c = join(q, spare);
	if (c != spare) {
		call_free(spare);
		return c;
	}
	wf_enter();
	r = wf_go(&args);
	wf_leave();
	if (r < 0) {
		c->result = r;
		(void)finish(c, RETURNED);
	}
	return c;
}

/* J5. 0: the work has ended. Or why the wait has. */
static WF_PARKS int
await_end(struct call *c, int64_t deadline)
{
	struct flight *f = c->flight;
	struct waiter w;
	int r;

	wf_lock(&f->lock);
	r = c->outcome != UNDER_WAY ? 0 : wf_park_check(deadline, /* cancellable */ true);
	if (r < 0 || c->outcome != UNDER_WAY) {
		wf_unlock(&f->lock);
		return r;
	}
	wf_waiter_init(&w, deadline, /* cancellable */ true);
	waitlist_put(&c->waiters, &w);
	r = wf_park_unlock(&f->lock, WAIT_FLIGHT, deadline, /* cancellable */ true);
	if (r < 0) {
		WF_POINT("flight.gave_up");
		wf_lock(&f->lock);
		waitlist_remove(&c->waiters, &w);
		if (c->outcome != UNDER_WAY)
			r = 0;		/* finish() has counted on us to tell of it */
		wf_unlock(&f->lock);
	}
	return r;
}

/* J6: one reference less. */
static void
leave(struct call *c)
{
	struct flight *f = c->flight;
	bool is_last;

	wf_race_release(c);
	wf_lock(&f->lock);
	is_last = --c->refs == 0;
	wf_unlock(&f->lock);
	if (is_last)
		call_free(c);
}

/* The work has panicked: so do we. Inside the runtime. */
static WF_COLD WF_NORETURN void
panic_too(struct call *c)
{
	char text[TEXT_MAX];

	strncpy(text, c->text != NULL ? c->text : "panic in a flight", sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	leave(c);
	wf_panic("%s", text);
}

/* J5, J6. Drops the reference. */
static WF_PARKS int
take_result(struct call *c, void *data, int64_t deadline)
{
	enum outcome outcome;
	int r;

	wf_enter();
	r = await_end(c, deadline);
	outcome = r == 0 ? c->outcome : UNDER_WAY;
	if (outcome != UNDER_WAY)
		wf_race_acquire(c);
	if (outcome == PANICKED)
		panic_too(c);
	if (outcome == RETURNED) {
		r = c->result;
		if (c->data_size > 0)
			memcpy(data, c->data, c->data_size);
	}
	leave(c);
	wf_leave();
	if (outcome == EXITED)
		weft_goexit();
	return r;
}

WF_API_PARKS int
weft_flight_do(weft_flight *pub, const void *key, size_t key_size, int (*fn)(void *data),
    void *data, size_t data_size, int64_t deadline)
{
	struct flight *f = (struct flight *)(void *)pub;
	struct question q = {f, key, key_size, hash_of(f, key, key_size)};
	struct call *c;
	int r;

	wf_enter();
	if (fn == NULL)
		wf_fatal("go of nil func value");
	r = wf_park_check(deadline, /* cancellable */ true);
	wf_leave();
	if (r < 0)
		return r;
	c = join(&q, NULL);						/* J1 */
	if (c == NULL)
		c = join_or_start(&q, fn, data, data_size,
		    (uintptr_t)__builtin_return_address(0));		/* J2 */
	if (c == NULL)
		return -ENOMEM;
	if (wf_unlikely(c->data_size != data_size)) {
		size_t others = c->data_size;

		wf_enter();
		leave(c);
		wf_panic("weft_flight_do: data_size is %zu, and %zu in the call that it joins",
		    data_size, others);
	}
	return take_result(c, data, deadline);
}

WF_API_PARKS bool
weft_flight_forget(weft_flight *pub, const void *key, size_t key_size)
{
	struct flight *f = (struct flight *)(void *)pub;
	struct question q = {f, key, key_size, hash_of(f, key, key_size)};
	struct call **at;
	bool was_there;

	wf_enter();
	wf_lock(&f->lock);
	wf_race_hide();
	at = slot_of(&q);
	wf_race_show();
	was_there = *at != NULL;
	if (was_there)
		slot_clear(at);
	wf_unlock(&f->lock);
	wf_leave();
	return was_there;
}
