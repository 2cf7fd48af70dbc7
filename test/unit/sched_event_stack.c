/*
 * Stacks that are known again. If one is taken for another, the trace says that somebody was where
 * he has never been; if none is known again, each event walks its stack.
 */
#include <weft.h>

#include "sched/event_write.h"
#include "sched/self.h"

#include "test.h"

#include <fcntl.h>
#include <string.h>

#define FRAMES 32	/* of a stack in the trace */

/* A frame of its own: not inlined, and no call is the last thing it does. */
#define FRAME __attribute__((noinline))

static struct event_writer writer;
static volatile int after;

static const struct trace_table *
table(void)
{
	return &writer.t->side[writer.gen % 2].stacks;
}

static const struct trace_item *
item_of(uint32_t id)
{
	for (const struct trace_block *b = table()->blocks; b != NULL; b = b->next)
		for (const struct trace_item *i = wf_trace_item_first(b); i != NULL;
		     i = wf_trace_item_next(b, i))
			if (i->id == id)
				return i;
	return NULL;
}

/* What a reader makes of it. */
static uint64_t
unpack(struct trace_packed v)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < v.bytes >> 56; i++)
		n |= (v.bytes >> 8 * i & 0x7f) << 7 * i;
	return n;
}

/*
 * Stands for wf_on_...(): the stack is that of who calls it. What has the number must be what a
 * walk finds.
 */
static FRAME uint32_t
number(void)
{
	struct m *m = wf_self();
	uint32_t id = (uint32_t)(unpack(event_stack(&writer)) >> TRACE_M_BITS), n;
	const struct trace_item *item = item_of(id);
	uintptr_t pcs[FRAMES + 1];

	n = wf_walk_frames(m->gate.g, pcs, FRAMES + 1);
	EXPECT(n > 1 && item != NULL);
	EXPECT_EQ(item->bytes, (n - 1) * sizeof(pcs[0]));
	EXPECT(memcmp(item->data, &pcs[1], item->bytes) == 0);
	after++;
	return id;
}

static FRAME uint32_t
deep(int levels)
{
	uint32_t n = levels > 0 ? deep(levels - 1) : number();

	after++;
	return n;
}

/* The same calls, but frames of a size that the caller chooses. */
static FRAME uint32_t
wide(size_t bytes)
{
	volatile char *space = __builtin_alloca(bytes);
	uint32_t n;

	space[0] = 1;
	n = number();
	after += space[0];
	return n;
}

/* Two ways there that differ in nothing but their address. */
static FRAME uint32_t
one_way(size_t bytes)
{
	uint32_t n = wide(bytes);

	after += 1;
	return n;
}

static FRAME uint32_t
another_way(size_t bytes)
{
	uint32_t n = wide(bytes);

	after += 2;
	return n;
}

/* Stacks of one depth that differ in a caller, and others that differ in the size of a frame. */
static void
compare_callers(void)
{
	static uint32_t (*volatile const callers[])(size_t) = { one_way, another_way };

	for (size_t i = 0; i < 240; i++)
		(void)callers[i / 3 % 2](64 * (i / 12 + 1));
}

/* Each depth is another stack, until they are cut: more of them than a thread remembers. */
static void
compare_depths(void)
{
	for (int i = 0; i < 120; i++)
		(void)deep(i % 40);
}

/* What comes again and again is put into the table once. (One call, whatever a compiler does.) */
static void
is_known_again(void)
{
	uint32_t known[100];

	for (volatile int i = 0; i < 100; i++) {
		(void)wide(64);
		known[i] = table()->n;
	}
	for (int i = 1; i < 100; i++)
		EXPECT_EQ(known[i], known[0]);
}

TEST(a_stack_is_known_again_and_never_taken_for_another)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct m *m;

	EXPECT(fd >= 0);
	EXPECT_EQ(weft_trace_start(fd), 0);
	m = wf_enter();
	EXPECT(event_begin(&writer, m));
	compare_callers();
	compare_depths();
	is_known_again();
	event_end(&writer);
	wf_leave();
	EXPECT_EQ(weft_trace_stop(), 0);
}
