/*
 * Panic, recovery and deferred calls. What is printed when nobody recovers is debug/'s matter.
 *
 * A goroutine has two stacks of its own: deferred calls (g->defers) and records (g->tries). A
 * record is put there by each weft_try(), by each panic while it runs deferred calls, and by
 * weft_goexit() while it does. From the top of the records everything follows:
 *
 *   A panic goes to the nearest weft_try() below it. On its way the deferred calls made
 *   since that weft_try() run, on top of the stack of the panic.
 *
 *   A panic in such a deferred call finds the record of the first panic below it and takes
 *   its place: it runs the calls that are left and goes to the same weft_try(), which returns
 *   the text of the second. Unrecovered, both are printed. As in Go.
 *
 *   A weft_try() in such a deferred call is above the record of the panic: what it recovers
 *   does not disturb the first panic. As in Go.
 *
 *   weft_goexit() runs all deferred calls, past every weft_try(), and can't be recovered; called
 *   in a call deferred by a panic it ends that panic quietly. As in Go (issue 8774 there).
 *
 *   A panic in a call deferred by weft_goexit() that a weft_try() further down would have
 *   recovered runs the deferred calls of that weft_try(), and then weft_goexit() goes on:
 *   Go's rule since 1.14. Without such a weft_try() it is unrecovered.
 *
 * Go's "[recovered, repanicked]" has no case here: a weft_try() that returns has ended its panic.
 * Under TSan each recovered panic leaves the abandoned frames on TSan's own call stack, which
 * holds 65,000: there is no way to tell it how many to drop.
 */
#include "sched/panic.h"

#include <weft/panic.h>
#include "arch/escape.h"
#include "base/assert.h"
#include "sched/hooks.h"
#include "sched/self.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef WF_ASAN
/* Frames are about to be abandoned: what ASan poisoned in them is clean. */
void __asan_handle_no_return(void);
#define before_jump() __asan_handle_no_return()
#else
#define before_jump() ((void)0)
#endif

#define TEXT_MAX 1024	/* of a message, with its NUL: promised in weft/panic.h */
#define HELP_MAX 256	/* of what is said about a misuse */
#define CHAIN_MAX 16	/* nested panics that are printed; the first and the last ones */

enum kind {
	KIND_TRY,
	KIND_PANIC,
	KIND_EXIT,
};

/* Lives on the stack of its goroutine, which alone reads and writes it. */
struct wf_try {
	struct wf_try *prev;	/* further down the stack */
	enum kind kind;
	struct wf_ctx ctx;	/* TRY, EXIT: where a panic lands */
	struct wf_defer *base;	/* TRY: the newest deferred call that is not its own */
	void (*fn)(void *);	/* TRY */
	void *arg;		/* TRY */
	char *msg;		/* TRY: for the text, or NULL */
	size_t msg_size;	/* TRY */
	struct wf_crash_text say;	/* PANIC */
};

static void
push(struct g *g, struct wf_try *t)
{
	t->prev = g->tries;
	g->tries = t;
	if (t->kind != KIND_TRY)
		wf_store_relaxed(&g->flags, wf_load_relaxed(&g->flags) | GF_PANICKING);
}

/* Makes t, which may be NULL, the innermost record. */
static void
pop_to(struct g *g, struct wf_try *t)
{
	unsigned flags = wf_load_relaxed(&g->flags) & ~(unsigned)GF_PANICKING;

	g->tries = t;
	for (; t != NULL; t = t->prev) {
		if (t->kind != KIND_TRY)
			flags |= GF_PANICKING;
	}
	wf_store_relaxed(&g->flags, (uint8_t)flags);
}

/* Runs g's deferred calls down to base. Between wf_enter() and wf_leave(); they run outside. */
static WF_PARKS void
run_defers(struct g *g, const struct wf_defer *base)
{
	while (g->defers != base) {
		struct wf_defer *d = g->defers;
		struct wf_defer call = *d;

		g->defers = d->next;
		wf_leave();
		if (!call.is_borrowed)
			free(d);
		call.fn(call.arg);
		(void)wf_enter();
	}
}

static void
put(struct wf_defer *d, void (*fn)(void *), void *arg, bool is_borrowed)
{
	struct g *g = wf_g();

	d->fn = fn;
	d->arg = arg;
	d->is_borrowed = is_borrowed;
	d->next = g->defers;
	g->defers = d;
}

void
wf_defer_push(struct wf_defer *d, void (*fn)(void *), void *arg)
{
	put(d, fn, arg, /* is_borrowed */ true);
}

void
wf_defer_push_own(struct wf_defer *d, void (*fn)(void *), void *arg)
{
	put(d, fn, arg, /* is_borrowed */ false);
}

void
wf_defer_remove(struct wf_defer *d)
{
	struct wf_defer **at = &wf_g()->defers;

	while (*at != d) {
		WF_CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = d->next;
}

bool
wf_is_ending(const struct g *g)
{
	const struct wf_try *t = g->tries;

	while (t != NULL && t->kind == KIND_TRY)
		t = t->prev;
	return t != NULL && t->kind == KIND_EXIT;
}

WF_API_PARKS void
weft_defer(void (*fn)(void *), void *arg)
{
	struct wf_defer *d = malloc(sizeof(*d));

	(void)wf_enter();
	if (fn == NULL) {
		free(d);
		wf_panic("defer of nil func value");
	}
	if (d == NULL)
		wf_panic("weft_defer: out of memory");
	put(d, fn, arg, /* is_borrowed */ false);
	wf_leave();
}

/* Outside the runtime. A panic in here lands in t->ctx. */
static WF_PARKS void
try_body(void *p)
{
	struct wf_try *t = p;

	t->fn(t->arg);
	(void)wf_enter();
	run_defers(wf_g(), t->base);
	wf_leave();
}

WF_API_PARKS int
weft_try(void (*fn)(void *), void *arg, char *msg, size_t msg_size)
{
	struct wf_try t;
	struct g *g;
	int r;

	memset(&t, 0, sizeof(t));
	t.kind = KIND_TRY;
	t.fn = fn;
	t.arg = arg;
	t.msg = msg;
	t.msg_size = msg_size;
	(void)wf_enter();
	if (fn == NULL)
		wf_panic("weft_try of nil func value");
	g = wf_g();
	t.base = g->defers;
	push(g, &t);
	wf_leave();

	r = wf_ctx_call(&t.ctx, try_body, &t);

	(void)wf_enter();
	WF_CHECK(g->defers == t.base);
	pop_to(g, t.prev);
	wf_leave();
	return r;
}

/* The weft_try() that recovers a panic whose record is newest, or NULL. The newest EXIT record
 * on the way there goes to *ret_exit. */
static struct wf_try *
find_try(const struct wf_try *newest, struct wf_try **ret_exit)
{
	struct wf_try *t;

	*ret_exit = NULL;
	for (t = newest->prev; t != NULL && t->kind != KIND_TRY; t = t->prev) {
		if (t->kind == KIND_EXIT && *ret_exit == NULL)
			*ret_exit = t;
	}
	return t;
}

static WF_NORETURN void
unrecovered(const struct wf_try *newest, uintptr_t from_pc)
{
	struct wf_crash_text texts[CHAIN_MAX];
	size_t n = 0;

	/* Newest first, and turned round; of very many the oldest one gives way. */
	for (const struct wf_try *t = newest; t != NULL && n < CHAIN_MAX; t = t->prev) {
		if (t->kind == KIND_PANIC)
			texts[n++] = t->say;
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct wf_crash_text swap = texts[i];

		texts[i] = texts[n - 1 - i];
		texts[n - 1 - i] = swap;
	}
	wf_crash_panic(texts, n, from_pc);
}

static WF_NORETURN WF_PARKS void
start_panic(struct g *g, struct wf_crash_text say, uintptr_t from_pc)
{
	struct wf_try rec, *to, *exit_rec;
	struct wf_ctx left;

	memset(&rec, 0, sizeof(rec));
	rec.kind = KIND_PANIC;
	rec.say = say;
	push(g, &rec);

	to = find_try(&rec, &exit_rec);
	run_defers(g, to != NULL ? to->base : NULL);
	if (to == NULL)
		unrecovered(&rec, from_pc);

	if (exit_rec != NULL) {
		/* weft_goexit() goes on, below the weft_try() that it has passed now. */
		exit_rec->prev = to->prev;
		to = exit_rec;
	} else if (to->msg != NULL && to->msg_size > 0) {
		snprintf(to->msg, to->msg_size, "%s", say.text);
	}
	wf_leave();
	before_jump();
	(void)wf_ctx_switch(&left, &to->ctx, NULL);
	__builtin_unreachable();
}

/* The caller's text, on the stack of the panic: it is printed or copied before that is left. */
static WF_NORETURN WF_COLD void
panic_v(uintptr_t from_pc, const char *fmt, va_list ap)
{
	struct g *g = wf_g();
	char text[TEXT_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (g == NULL)
		wf_crash_fatal(text, NULL, /* all */ false, from_pc);
	start_panic(g, (struct wf_crash_text){.text = text}, from_pc);
}

void
weft_panic(const char *fmt, ...)
{
	va_list ap;

	(void)wf_enter();
	va_start(ap, fmt);
	panic_v((uintptr_t)__builtin_return_address(0), fmt, ap);
}

void
wf_panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_v(0, fmt, ap);
}

void
wf_panic_help(const char *text, const char *help, ...)
{
	struct g *g = wf_g();
	char about[HELP_MAX];
	va_list ap;

	va_start(ap, help);
	vsnprintf(about, sizeof(about), help, ap);
	va_end(ap);
	if (g == NULL)
		wf_crash_fatal(text, about, /* all */ false, 0);
	start_panic(g, (struct wf_crash_text){.text = text, .help = about}, 0);
}

void
wf_fatal_help(const char *text, const char *help, ...)
{
	char about[HELP_MAX];
	va_list ap;

	va_start(ap, help);
	vsnprintf(about, sizeof(about), help, ap);
	va_end(ap);
	wf_crash_fatal(text, about, /* all */ false, 0);
}

void
wf_fatal(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wf_crash_fatal(text, NULL, /* all */ false, 0);
}

void
wf_fatal_all(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wf_crash_fatal(text, NULL, /* all */ true, 0);
}

/* Outside the runtime. A panic that weft_goexit() survives lands in rec->ctx. */
static WF_PARKS void
exit_body(void *unused)
{
	(void)unused;
	(void)wf_enter();
	run_defers(wf_g(), NULL);
	wf_leave();
}

void
wf_run_defers(struct g *g)
{
	struct wf_try rec;

	if (wf_likely(g->defers == NULL)) {
		g->tries = NULL;
		return;
	}
	memset(&rec, 0, sizeof(rec));
	rec.kind = KIND_EXIT;
	push(g, &rec);
	while (g->defers != NULL) {
		wf_leave();
		(void)wf_ctx_call(&rec.ctx, exit_body, NULL);
		(void)wf_enter();
		pop_to(g, &rec);
	}
	pop_to(g, NULL);
}
