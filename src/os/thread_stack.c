/*
 * Stacks of kernel threads. The C library maps one for each thread and makes its guard by a second
 * call, which splits the mapping; all threads that start at a time wait for the same lock of the
 * kernel's, and a program that starts a thousand spends a seventh of its time there. Ours are cut
 * from mappings of several, and guarded without a split.
 *
 * A thread cannot give back the stack that it stands on. So it leaves it here with its number, and
 * whoever wants one takes it when the kernel knows no such thread any more.
 */
#define _GNU_SOURCE
#include "os/thread_stack.h"

#include "base/race.h"
#include "os/os.h"
#include "os/valgrind.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BATCH_MAX 16u
#define BATCH_SHARE 4u		/* one more at a time for so many that are in use */
#define KEEP 64u		/* of those that are free; beyond, they are unmapped */
#define LOOKS 4u		/* at those left behind, each time */
#define IN_USE_BELOW ((size_t)32 << 10)	/* of a frame that ends: what ending takes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under lock. */
static struct {
	struct thread_stack *free;	/* nobody is on these */
	unsigned n_free, n_in_use;
	struct thread_stack *left, **left_last;	/* somebody may be; in a ring of turns */
	enum { UNKNOWN, CHEAP, BY_MPROTECT } guards;
	bool is_blind;		/* the kernel refuses to say which threads there are */
} stacks = {.left_last = &stacks.left};

static void
put_free(struct thread_stack *s)
{
	s->tid = 0;
	s->next = stacks.free;
	stacks.free = s;
	stacks.n_free++;
}

/* One that is free; of that size only, unless bytes is 0. */
static struct thread_stack *
take_free(size_t bytes)
{
	struct thread_stack **at = &stacks.free, *s;

	while (*at != NULL && bytes != 0 && (*at)->bytes != bytes)
		at = &(*at)->next;
	s = *at;
	if (s != NULL) {
		*at = s->next;
		stacks.n_free--;
	}
	return s;
}

static void
put_left(struct thread_stack *s)
{
	s->next = NULL;
	*stacks.left_last = s;
	stacks.left_last = &s->next;
}

static struct thread_stack *
take_left(void)
{
	struct thread_stack *s = stacks.left;

	if (s == NULL)
		return NULL;
	stacks.left = s->next;
	if (s->next == NULL)
		stacks.left_last = &stacks.left;
	return s;
}

/* Looks at some that were left behind: does the kernel still know who did? */
static void
sweep(void)
{
	struct thread_stack *s;

	for (unsigned i = 0; i < LOOKS && (s = take_left()) != NULL; i++) {
		/* Another thread of ours may have its number by now. Then we look again. */
		int r = wf_os_thread_kill(s->tid, 0);

		if (r == -ESRCH) {
			put_free(s);
			continue;
		}
		put_left(s);
		if (r != 0)
			stacks.is_blind = true;
	}
	while (stacks.n_free > KEEP) {
		size_t page = wf_os_page_size();

		s = take_free(0);
		wf_os_unmap(s->base - page, page + s->bytes);
		free(s);
	}
}

/* The page at p, below a stack, faults from now on. Old kernels refuse it, qemu only says yes. */
static bool
guard(char *p, size_t page)
{
	if (stacks.guards != BY_MPROTECT && wf_os_guard_install(p, page) == 0) {
		if (stacks.guards == UNKNOWN)
			stacks.guards = wf_os_faults(p) ? CHEAP : BY_MPROTECT;
		if (stacks.guards == CHEAP)
			return true;
	}
	return wf_os_protect_none(p, page) == 0;
}

/* Maps n at once. False: not even one. */
static bool
map_some(size_t bytes, unsigned n)
{
	size_t page = wf_os_page_size(), each = page + bytes;
	/* MAP_STACK: no huge pages. */
	char *p = mmap(NULL, n * each, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < n; i++, p += each) {
		struct thread_stack *s = malloc(sizeof(*s));

		if (s == NULL || !guard(p, page)) {
			free(s);
			wf_os_unmap(p, (n - i) * each);
			return i != 0;
		}
		*s = (struct thread_stack){.base = p + page, .bytes = bytes};
		put_free(s);
	}
	return true;
}

/*
 * valgrind takes a mapping for one stack, and ThreadSanitizer wants larger ones: beside them the C
 * library makes each.
 */
static bool
is_watched(void)
{
	return wf_on_valgrind() || wf_race_is_watched();
}

static struct thread_stack *
of_the_c_library(size_t bytes)
{
	struct thread_stack *s = malloc(sizeof(*s));

	if (s != NULL)
		*s = (struct thread_stack){.bytes = bytes};
	return s;
}

struct thread_stack *
wf_thread_stack_take(size_t bytes)
{
	size_t page = wf_os_page_size();
	struct thread_stack *s;

	bytes = (bytes + page - 1) & ~(page - 1);
	pthread_mutex_lock(&lock);
	sweep();
	if (is_watched() || stacks.is_blind) {
		pthread_mutex_unlock(&lock);
		return of_the_c_library(bytes);
	}
	s = take_free(bytes);
	if (s == NULL) {
		unsigned n = 1 + stacks.n_in_use / BATCH_SHARE;

		if (map_some(bytes, n < BATCH_MAX ? n : BATCH_MAX) || map_some(bytes, 1))
			s = take_free(bytes);
	}
	stacks.n_in_use += s != NULL;
	pthread_mutex_unlock(&lock);
	return s;
}

void
wf_thread_stack_put(struct thread_stack *s)
{
	if (s->base == NULL) {
		free(s);
		return;
	}
	pthread_mutex_lock(&lock);
	stacks.n_in_use--;
	put_free(s);
	pthread_mutex_unlock(&lock);
}

void
wf_thread_stack_end(struct thread_stack *s)
{
	size_t used;

	if (s->base == NULL) {
		free(s);
		return;
	}
	used = (size_t)(s->base + s->bytes - (char *)__builtin_frame_address(0));
	if (used + IN_USE_BELOW < s->bytes)
		(void)wf_os_dontneed(s->base,
		    (s->bytes - used - IN_USE_BELOW) & ~(wf_os_page_size() - 1));
	pthread_mutex_lock(&lock);
	stacks.n_in_use--;
	s->tid = wf_os_tid();
	put_left(s);
	sweep();
	pthread_mutex_unlock(&lock);
}
