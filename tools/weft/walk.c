/*
 * Stacks of goroutines of another process: libdw walks them, we give it memory and registers.
 */
#include "target.h"

#include <string.h>

#define ENTRY_BYTES 64	/* wf_ctx_entry() is shorter on both processors */

static struct {
	struct target *target;
	const struct goroutine *g;
	uint64_t *pcs;
	size_t n, max;
	uint64_t from, to;		/* what of the stack is in the copy */
	unsigned char stack[256 << 10];
} walk;

static pid_t
next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg != NULL)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool
get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	*thread_arg = arg;
	return tid == 1;
}

static bool
memory_read(Dwfl *dwfl, Dwarf_Addr at, Dwarf_Word *ret, void *arg)
{
	(void)dwfl;
	(void)arg;
	if (at >= walk.from && at + sizeof(*ret) <= walk.to) {
		memcpy(ret, walk.stack + (at - walk.from), sizeof(*ret));
		return true;
	}
	return target_read(walk.target, ret, at, sizeof(*ret));
}

static bool
set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct goroutine *g = walk.g;
	Dwarf_Word pc = g->pc, sp = g->sp, fp = g->fp;

	(void)arg;
#if defined(__x86_64__)
	return dwfl_thread_state_registers(thread, 6, 1, &fp) &&
	    dwfl_thread_state_registers(thread, 7, 1, &sp) &&
	    dwfl_thread_state_registers(thread, 16, 1, &pc);
#else
	dwfl_thread_state_register_pc(thread, pc);
	return dwfl_thread_state_registers(thread, 29, 1, &fp) &&
	    dwfl_thread_state_registers(thread, 31, 1, &sp);
#endif
}

static const Dwfl_Thread_Callbacks threads = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = memory_read,
	.set_initial_registers = set_registers,
};

static int
frame(Dwfl_Frame *state, void *arg)
{
	Dwarf_Addr pc;
	bool is_exact;

	(void)arg;
	if (walk.n == walk.max || !dwfl_frame_pc(state, &pc, &is_exact) || pc == 0)
		return DWARF_CB_ABORT;
	/* A call's frame goes on after the call: the line is that of the call. */
	walk.pcs[walk.n++] = is_exact ? pc : pc - 1;
	return DWARF_CB_OK;
}

/* Does the goroutine still stand where it stood? Its ticket changes with each wait. */
static bool
stands(const struct target *t, const struct goroutine *g)
{
	return target_get(t, g->at, "g.id") == g->id && target_get(t, g->at, "g.wait") == g->wait &&
	    target_get(t, g->at, "g.sp") == g->sp && target_get(t, g->at, "g.pc") == g->pc;
}

size_t
target_walk(struct target *t, const struct goroutine *g, uint64_t *pcs, size_t max)
{
	uint64_t size = g->hi - g->sp;

	if (!t->is_attached && !dwfl_attach_state(t->dwfl, NULL, t->pid, &threads, t))
		return 0;
	t->is_attached = true;
	if (size > sizeof(walk.stack))
		size = sizeof(walk.stack);
	walk.target = t;
	walk.g = g;
	walk.pcs = pcs;
	walk.n = 0;
	walk.max = max;
	walk.from = walk.to = g->sp;
	if (g->sp < g->hi && target_read(t, walk.stack, g->sp, size))
		walk.to = g->sp + size;
	(void)dwfl_getthread_frames(t->dwfl, 1, frame, NULL);
	/* The entry of a goroutine, and what lies between that and the user's function. */
	if (walk.n >= 3 && pcs[walk.n - 1] - (uintptr_t)t->layout.entry < ENTRY_BYTES)
		walk.n -= walk.n > 3 && g->is_wrapped ? 3 : 2;
	return stands(t, g) ? walk.n : 0;
}
