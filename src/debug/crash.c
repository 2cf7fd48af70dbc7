/*
 * Fatal errors and panics that nobody recovers. See crash.h.
 *
 * A crash may come from any state: locks held, memory broken, in a signal handler. So: static
 * memory, write(2) only, no lock that anybody else takes, and a second crash ends the process at
 * once, with Go's words and statuses (3, 4, 5).
 */
#include "debug/crash.h"

#include <weft/debug.h>
#include "base/assert.h"
#include "debug/tracer.h"
#include "os/os.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STDERR 2

/*
 *   K1  reporter: one thread swaps it from 0 to its id, and nobody resets it. What else is here
 *       belongs to that thread. Others only compare; relaxed, nothing is read through it.
 */
static struct {
	_Atomic int reporter;	/* thread id; 0 = no crash yet */
	int depth;		/* crashes of the reporter, one in the other */
	struct dump dump;
	bool wants_core;	/* constant after boot */
} crash;

/* A duplicate of what weft_set_crash_output() was given; -1: nothing. Nothing else hangs on it. */
static _Atomic int crash_output = -1;

/* A line to all that get the report. */
static void
say(const char *text, size_t n)
{
	int copy = wf_load_relaxed(&crash_output);

	(void)wf_os_write(STDERR, text, n);
	if (copy >= 0)
		(void)wf_os_write(copy, text, n);
}

static void
open_dump(struct dump *d)
{
	wf_dump_init(d, STDERR);
	d->out.copy_fd = wf_load_relaxed(&crash_output);
}

/* A crash in the report of a crash: less and less is tried. */
static WF_NORETURN void
crash_again(void)
{
	static const char first[] = "\npanic during panic\n";
	static const char second[] = "\nstack trace unavailable\n";
	struct dump *d = &crash.dump;
	struct wf_ctx here;
	uintptr_t lo, hi;
	struct g *g;
	bool is_known;

	crash.depth++;
	if (crash.depth == 2) {
		say(first, sizeof(first) - 1);
		wf_ctx_here(&here);
		g = wf_dump_current(here.sp);
		is_known = wf_dump_bounds(g, here.sp, &lo, &hi);
		open_dump(d);
		wf_unwind_ctx(&d->u, &here, lo, hi, is_known);
		wf_dump_stack(d, HIDE_NOTHING, 0, NULL);
		wf_dump_fini(d);
		wf_os_exit(3);
	}
	if (crash.depth == 3) {
		say(second, sizeof(second) - 1);
		wf_os_exit(4);
	}
	wf_os_exit(5);
}

struct dump *
wf_crash_begin(void)
{
	int tid = wf_os_tid(), none = 0;

	if (wf_cas_relaxed(&crash.reporter, &none, tid)) {		/* K1 */
		crash.depth = 1;
		open_dump(&crash.dump);
		return &crash.dump;
	}
	if (none == tid)
		crash_again();
	wf_os_pause_forever();
}

void
wf_crash_end(struct dump *d, int sig)
{
	wf_dump_fini(d);
	wf_tracer_crash();
	if (crash.wants_core)
		wf_os_raise_default(sig != 0 ? sig : SIGABRT);
	wf_os_exit(2);
}

/* "goroutine N [running]:" and its stack; all: everybody else's too. Ends the process. */
static WF_NORETURN void
report(struct dump *d, const struct wf_ctx *here, enum dump_hide hide, uintptr_t from_pc, bool all)
{
	struct g *g = wf_dump_current(here->sp);
	uintptr_t lo, hi;
	bool is_known = wf_dump_bounds(g, here->sp, &lo, &hi);

	wf_unwind_ctx(&d->u, here, lo, hi, is_known);
	/* A deadlock is found by the scheduler: its own stack says nothing. */
	if (g != NULL || !all || hide == HIDE_NOTHING) {
		wf_out_str(&d->out, g != NULL ? "\n" : "\nruntime stack:\n");
		wf_dump_caller(d, g, hide, from_pc);
	}
	if (all)
		wf_dump_others(d);
	wf_crash_end(d, 0);
}

static void
put_message(struct dump *d, const char *text, const char *help)
{
	wf_out_indented(&d->out, text);
	wf_out_str(&d->out, "\n");
	if (help == NULL)
		return;
	wf_out_str(&d->out, "[");
	wf_out_str(&d->out, help);
	wf_out_str(&d->out, "]\n");
}

void
wf_crash_fatal(const char *text, const char *help, bool all, uintptr_t from_pc)
{
	struct dump *d = wf_crash_begin();
	struct wf_ctx here;

	wf_ctx_here(&here);
	wf_out_str(&d->out, "fatal error: ");
	put_message(d, text, help);
	report(d, &here, from_pc != 0 ? HIDE_TO_PC : HIDE_RUNTIME, from_pc, all);
}

void
wf_crash_abort(const char *text)
{
	crash.wants_core = true;
	wf_crash_fatal(text, NULL, /* all */ false, 0);
}

void
wf_crash_panic(const struct wf_crash_text *texts, size_t n, uintptr_t from_pc)
{
	struct dump *d = wf_crash_begin();
	struct wf_ctx here;

	wf_ctx_here(&here);
	for (size_t i = 0; i < n; i++) {
		wf_out_str(&d->out, i == 0 ? "panic: " : "\tpanic: ");
		put_message(d, texts[i].text, texts[i].help);
	}
	report(d, &here, from_pc != 0 ? HIDE_TO_PC : HIDE_RUNTIME, from_pc, false);
}

/* The runtime's own fault: everything is shown, for a report to us. */
void
wf_throw(const char *what, const char *file, int line)
{
	struct dump *d = wf_crash_begin();
	struct wf_ctx here;

	wf_ctx_here(&here);
	wf_out_str(&d->out, "fatal error: weft: ");
	wf_out_str(&d->out, what);
	wf_out_str(&d->out, " (");
	wf_out_str(&d->out, file);
	wf_out_str(&d->out, ":");
	wf_out_i64(&d->out, line);
	wf_out_str(&d->out, ")\n");
	report(d, &here, HIDE_NOTHING, 0, true);
}

/* When main returns while another thread reports a crash, the crash is how the program ended. */
static void
wait_for_report(void)
{
	int reporter = wf_load_relaxed(&crash.reporter);

	if (reporter != 0 && reporter != wf_os_tid())
		wf_os_pause_forever();
}

void
wf_crash_init(const struct wf_debug *d)
{
	crash.wants_core = d->crash;
	(void)atexit(wait_for_report);
	wf_fault_init();
}

int
weft_set_crash_output(int fd)
{
	int copy = fd < 0 ? -1 : wf_os_dup(fd), old;

	if (fd >= 0 && copy < 0)
		return copy;
	old = wf_xchg_relaxed(&crash_output, copy);
	if (old >= 0)
		(void)wf_os_close(old);
	return 0;
}
