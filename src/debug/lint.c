/*
 * Lints: reports, once for each place, and those that a goroutine finds out about itself: a lock of
 * libc's that is held over a wait, a stack that is nearly full or not as small as asked for, too
 * many processors. What the monitor finds is in lint_watch.c. README.md, "Lints".
 */
#include "debug/lint.h"

#include "os/os.h"
#include "sched/sched.h"

#define STDERR 2
/* For who reads standard error in this process, on the processor that the writer keeps. */
#define PATIENCE_MS 100
#define PLACES 256u		/* more are not reported */
#define PLACE_FRAMES 4u		/* what tells one place from another: the innermost calls */
#define PLACE_FUNCTIONS 2u	/* ... or functions: another that calls memcpy() is another place */

/*
 *   L1  lint.busy: whoever sets it from 0 has the rest until it is 0 again; acquire -> release. A
 *       signal handler that finds it set goes away; goroutines wait for it, because who has it
 *       waits for nobody for long: what nobody reads within PATIENCE_MS is lost, and counted.
 */
static struct {
	_Atomic uint32_t busy;		/* L1 */
	_Atomic uint32_t binds_late;	/* set at boot; who exchanges it for 0 is to tell */
	struct dump dump;		/* L1 */
	uint64_t places[PLACES];	/* L1 */
	unsigned n_places;		/* L1 */
	unsigned n_lost;		/* L1; since the last report that came through */
	bool has_told;			/* L1; of these, in the one that is being written */
} lint;

struct dump *
wf_lint_begin(void)
{
	if (wf_xchg_acquire(&lint.busy, 1u) != 0)			/* L1 */
		return NULL;
	wf_dump_init(&lint.dump, STDERR);
	lint.dump.out.patience_ms = PATIENCE_MS;
	return &lint.dump;
}

void
wf_lint_end_report(struct dump *d)
{
	wf_dump_fini(d);
	if (d->out.is_broken)
		lint.n_lost++;
	else if (lint.has_told)
		lint.n_lost = 0;
	lint.has_told = false;
	wf_store_release(&lint.busy, 0u);				/* L1 */
}

/* Where the function begins that pc is in, as far as its description says; else pc. */
static uintptr_t
function_of(uintptr_t pc)
{
	struct wf_os_elf elf;
	struct wf_fde fde;

	return wf_os_elf_find(pc, &elf) && wf_fde_find(&elf, pc, &fde) ? fde.start : pc;
}

/* A loop is one place, wherever in it the signal came; else the calls say where. */
bool
wf_lint_is_new(const struct dump *d, enum lint_kind kind)
{
	bool is_loop = kind == LINT_COMPUTES;
	uint64_t place = kind;

	for (size_t i = 0; i < d->n && i < (is_loop ? PLACE_FUNCTIONS : PLACE_FRAMES); i++) {
		place ^= is_loop ? function_of(d->inner[i]) : d->inner[i];
		place *= 0x9e3779b97f4a7c15u;
		place ^= place >> 29;
	}
	for (unsigned i = 0; i < lint.n_places; i++)
		if (lint.places[i] == place)
			return false;
	if (lint.n_places == PLACES)
		return false;
	lint.places[lint.n_places++] = place;
	return true;
}

void
wf_lint_head(struct dump *d, const struct g *g)
{
	if (lint.n_lost > 0) {
		wf_out_str(&d->out, "weft: lint: reports lost, because nobody read them: ");
		wf_out_u64(&d->out, lint.n_lost);
		wf_out_str(&d->out, "\n");
		lint.has_told = true;
	}
	wf_out_str(&d->out, "weft: lint: ");
	if (g == NULL)
		return;
	wf_out_str(&d->out, "goroutine ");
	wf_out_u64(&d->out, wf_load_relaxed(&g->id));
	wf_out_str(&d->out, " ");
}

void
wf_lint_body(struct dump *d, const struct g *g, const struct g *copy, const char *state,
    const char *remedy)
{
	wf_out_str(&d->out, "\n[");
	wf_out_str(&d->out, remedy);
	wf_out_str(&d->out, "]\n\n");
	if (g != NULL)
		wf_dump_header(d, g, copy, state, 0);
	if (d->n != 0)
		wf_dump_frames(d);
	else
		wf_out_str(&d->out, "\tgoroutine running on other thread; stack unavailable\n");
	if (g != NULL)
		wf_dump_created_by(d, copy);
	wf_out_str(&d->out, "\n");
}

/* ---- what a goroutine finds out about itself ---- */

/* Begins a report by the caller, whose frames are kept in it. Waits for others to finish theirs. */
static struct dump *
begin_here(const struct g *g)
{
	struct wf_ctx here;
	uintptr_t lo, hi;
	struct dump *d;
	bool is_known;

	while ((d = wf_lint_begin()) == NULL)
		wf_os_thread_yield();
	wf_ctx_here(&here);
	is_known = wf_dump_bounds(g, here.sp, &lo, &hi);
	wf_unwind_ctx(&d->u, &here, lo, hi, is_known);
	wf_dump_collect(d, HIDE_RUNTIME, 0, g);
	return d;
}

/* Of who has ended no frame is left but the one that all began with: its function is the place. */
static void
show_beginning(struct dump *d, const struct g *g)
{
	d->n = 1;
	d->inner[0] = wf_dump_began_with(g);
}

/* Its thread runs others meanwhile: if they want the lock, they block it. */
static void
check_locks(const struct g *g, enum wf_wait_reason reason)
{
	const char *kind = NULL;
	const void *lock = wf_os_lock_held(
	    wf_load_relaxed(&g->stack_lo), wf_load_relaxed(&g->stack_hi), &kind);
	struct dump *d;

	if (lock == NULL)
		return;
	d = begin_here(g);
	if (wf_lint_is_new(d, LINT_HOLDS_LOCK)) {
		wf_lint_head(d, g);
		wf_out_str(&d->out, "waits (");
		wf_out_str(&d->out, wf_wait_reason_name(reason));
		wf_out_str(&d->out, ") while it holds the ");
		wf_out_str(&d->out, kind);
		wf_out_str(&d->out, " ");
		wf_out_hex(&d->out, (uintptr_t)lock);
		wf_lint_body(d, g, g, wf_wait_reason_name(reason),
		    "a goroutine that locks it meanwhile blocks its thread, and the unlock may "
		    "come from another thread: unlock it before, or make it a weft_mutex "
		    "or weft_rwmutex");
	}
	wf_lint_end_report(d);
}

/*
 * What of a stack was never to be touched, and can be looked at: its last quarter, in whole pages,
 * without the one that has the canary. Small stacks have none that is theirs alone: 0 bytes.
 */
static void *
last_quarter(const struct wf_stack *s, size_t *ret_bytes)
{
	uintptr_t page = wf_os_page_size();
	uintptr_t lo = (s->lo + (s->has_canary ? page : 0) + page - 1) & ~(page - 1);
	uintptr_t hi = (s->lo + (s->hi - s->lo) / 4) & ~(page - 1);

	*ret_bytes = hi > lo ? hi - lo : 0;
	return (void *)lo;
}

/*
 * Its pages say how deep the stack ever was. They are given back then, so that the next to be told
 * is whoever uses them anew.
 */
static void
check_stack(const struct g *g, bool has_ended)
{
	const struct wf_stack *s = g->stack;
	size_t bytes, untouched;
	struct dump *d;
	char *p;

	if (s == NULL)
		return;			/* not ours */
	p = last_quarter(s, &bytes);
	untouched = wf_os_untouched(p, bytes);
	if (untouched == bytes)
		return;
	d = begin_here(g);
	if (has_ended)
		show_beginning(d, g);
	if (wf_lint_is_new(d, LINT_DEEP_STACK)) {
		wf_lint_head(d, g);
		wf_out_str(&d->out, "has used ");
		wf_out_u64(&d->out, s->hi - (uintptr_t)(p + untouched));
		wf_out_str(&d->out, " of the ");
		wf_out_u64(&d->out, s->hi - s->lo);
		wf_out_str(&d->out, " bytes of its stack, more than 75 %");
		wf_lint_body(d, g, g, has_ended ? "running, has ended" : "running",
		    "found at its next wait, or its end: raise it with WEFT_STACK or "
		    "weft_go_options.stack_size, or keep large objects elsewhere");
	}
	wf_lint_end_report(d);
	/* A goroutine's own dead frames, below this one by far. */
	if ((uintptr_t)__builtin_frame_address(0) - wf_os_page_size() > (uintptr_t)p + bytes)
		(void)wf_os_dontneed(p, bytes);
}

/* Lints make all stacks large. Without them this one would be, too, and nothing would say so. */
static void
check_small(const struct g *g, const char *state, bool has_ended)
{
	struct dump *d;

	if (g->stack_class != WEFT_STACK_SMALL || wf_load_relaxed(&lint.binds_late) == 0 ||
	    wf_xchg_relaxed(&lint.binds_late, 0u) == 0)
		return;
	d = begin_here(g);
	if (has_ended)
		show_beginning(d, g);
	wf_lint_head(d, g);
	wf_out_str(&d->out, "has asked for WEFT_STACK_SMALL, and without lints would get 16 KiB, "
	    "too: the program binds its calls late");
	wf_lint_body(d, g, g, state,
	    "link it with -Wl,-z,now; told once, of the first such goroutine");
	wf_lint_end_report(d);
}

void
wf_lint_wait(enum wf_wait_reason reason)
{
	const struct g *g = wf_g();

	if (wf_load_relaxed(&g->flags) & GF_BOUND)
		return;		/* its thread waits with it */
	check_locks(g, reason);
	check_stack(g, /* has_ended */ false);
	check_small(g, wf_wait_reason_name(reason), /* has_ended */ false);
}

void
wf_lint_end(struct g *g)
{
	check_stack(g, /* has_ended */ true);
	check_small(g, "running, has ended", /* has_ended */ true);
}

void
wf_lint_stack(const struct wf_stack *s)
{
	size_t bytes;
	void *p = last_quarter(s, &bytes);

	if (bytes != 0)
		(void)wf_os_dontneed(p, bytes);
}

void
wf_lint_procs(uint32_t n)
{
	uint32_t cpus = (uint32_t)wf_numcpu();
	struct wf_ctx here;
	struct dump *d;
	const struct g *g;

	if (n <= cpus)
		return;
	wf_ctx_here(&here);
	g = wf_dump_current(here.sp);
	d = begin_here(g);
	if (wf_lint_is_new(d, LINT_PROCS)) {
		wf_lint_head(d, NULL);
		wf_out_u64(&d->out, n);
		wf_out_str(&d->out, " processors, but this process may use only ");
		wf_out_u64(&d->out, cpus);
		wf_lint_body(d, g, g, "running",
		    "by its affinity mask and the CPU quota of its cgroup: leave WEFT_MAXPROCS "
		    "unset and do not call weft_gomaxprocs(), then weft follows these limits");
	}
	wf_lint_end_report(d);
}

void
wf_lint_init(const struct wf_debug *d)
{
	if (!d->lint)
		return;
	wf_lint_watch_init();
	wf_store_relaxed(&lint.binds_late, wf_os_binds_early() ? 0u : 1u);
	wf_store_relaxed(&wf_trace.waits,
	    (uint8_t)(wf_load_relaxed(&wf_trace.waits) | WAITS_LINTED));
}
