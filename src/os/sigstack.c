/*
 * Alternate signal stacks. Each thread has one, so they are cut from mappings of many: to map one
 * for each is a tenth of what it costs to start a thread, and all that are started at a time wait
 * for the same lock of the kernel's.
 */
#define _GNU_SOURCE
#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PER_CHUNK 16u

/*
 * One mapping: a page with this, then PER_CHUNK stacks. Not from malloc(3), which would make an
 * arena for a thread that has hardly begun.
 */
struct chunk {
	struct chunk *next;
	char *base;		/* of the first stack */
	size_t stack_bytes;	/* of each */
	uint32_t free;		/* a bit for each that is */
};

/* Those with room come first. */
static struct chunk *chunks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* on chunks, and all of them */

#define ALL_FREE ((UINT32_C(1) << PER_CHUNK) - 1)

/* Room for the kernel's own frame (it grows with the vector registers) and for bytes. */
static size_t
altstack_bytes(size_t bytes)
{
	long frame = sysconf(_SC_MINSIGSTKSZ);
	size_t page = wf_os_page_size();

	if (frame > 0)
		bytes += (size_t)frame;
	return (bytes + page - 1) & ~(page - 1);
}

static size_t
chunk_bytes(size_t stack_bytes)
{
	return wf_os_page_size() + PER_CHUNK * stack_bytes;
}

static struct chunk *
chunk_new(size_t stack_bytes)
{
	struct chunk *c = wf_os_map(chunk_bytes(stack_bytes));

	if (c != NULL)
		*c = (struct chunk){.base = (char *)c + wf_os_page_size(),
		    .stack_bytes = stack_bytes, .free = ALL_FREE};
	return c;
}

/* The last of the room that the first chunk has is taken: it goes behind all others. */
static void
put_last(struct chunk *c)
{
	struct chunk **at = &chunks;

	chunks = c->next;
	while (*at != NULL)
		at = &(*at)->next;
	c->next = NULL;
	*at = c;
}

static void *
take(size_t stack_bytes)
{
	struct chunk *c;
	unsigned i;

	pthread_mutex_lock(&lock);
	c = chunks;
	if (c == NULL || c->free == 0) {
		c = chunk_new(stack_bytes);
		if (c == NULL) {
			pthread_mutex_unlock(&lock);
			return NULL;
		}
		c->next = chunks;
		chunks = c;
	}
	i = (unsigned)__builtin_ctz(c->free);
	c->free &= ~(UINT32_C(1) << i);
	if (c->free == 0)
		put_last(c);
	pthread_mutex_unlock(&lock);
	return c->base + i * stack_bytes;
}

/* The pages of the stack were given back. One chunk that is all free stays, for the next thread. */
static void
give_back(char *stack)
{
	struct chunk **at = &chunks, *c;

	pthread_mutex_lock(&lock);
	while ((uintptr_t)stack - (uintptr_t)(*at)->base >= PER_CHUNK * (*at)->stack_bytes)
		at = &(*at)->next;
	c = *at;
	*at = c->next;
	c->free |= UINT32_C(1) << ((size_t)(stack - c->base) / c->stack_bytes);
	if (c->free == ALL_FREE && chunks != NULL && chunks->free != 0) {
		wf_os_unmap(c, chunk_bytes(c->stack_bytes));
	} else {
		c->next = chunks;
		chunks = c;
	}
	pthread_mutex_unlock(&lock);
}

void *
wf_os_sigaltstack_new(size_t bytes)
{
	stack_t old, ss;

	if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE))
		return NULL;
	memset(&ss, 0, sizeof(ss));
	ss.ss_size = altstack_bytes(bytes);
	ss.ss_sp = take(ss.ss_size);
	if (ss.ss_sp == NULL)
		return NULL;
	if (sigaltstack(&ss, NULL) != 0) {
		give_back(ss.ss_sp);
		return NULL;
	}
	return ss.ss_sp;
}

bool
wf_os_sigaltstack_has(const void *stack, size_t bytes, uintptr_t address)
{
	return stack != NULL && address - (uintptr_t)stack < altstack_bytes(bytes);
}

void
wf_os_sigaltstack_free(void *stack, size_t bytes)
{
	stack_t now, off;

	if (stack == NULL)
		return;
	/* The program may have put another in its place meanwhile: that one stays. */
	memset(&off, 0, sizeof(off));
	off.ss_flags = SS_DISABLE;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack)
		(void)sigaltstack(&off, NULL);
	(void)wf_os_dontneed(stack, altstack_bytes(bytes));
	give_back(stack);
}
