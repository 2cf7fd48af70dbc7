/*
 * Reading memory that may not be there. See peek.h.
 */
#include "debug/peek.h"

#include "os/os.h"

#include <errno.h>
#include <string.h>

/*
 * Other frames, with what AddressSanitizer keeps between variables, and records that change
 * meanwhile: the sanitizers would call that bugs, in a memcpy() too.
 */
static void __attribute__((no_sanitize("address"), no_sanitize("thread")))
copy(void *to, uintptr_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile char *)to)[i] = ((const volatile char *)from)[i];
}

bool
wf_peek_copy(void *to, uintptr_t from, size_t n, bool direct)
{
	int r = wf_os_peek(to, from, n);

	if (r == 0)
		return true;
	/* -EFAULT is an answer. Anything else is a sandbox that forbids the question. */
	if (r == -EFAULT || !direct)
		return false;
	copy(to, from, n);
	return true;
}

void
wf_peek_init(struct wf_peek *p, uintptr_t lo, uintptr_t hi, bool is_known)
{
	p->is_known = is_known;
	p->lo = lo;
	p->hi = hi;
	p->at = 0;
	p->n = 0;
}

/* Fills the window from addr on, to the end of its page or the next. */
static bool
load(struct wf_peek *p, uintptr_t addr)
{
	uintptr_t end = (addr + sizeof(p->window)) & ~(uintptr_t)(sizeof(p->window) - 1);

	if (end > p->hi || end < addr)
		end = p->hi;
	p->at = addr;
	p->n = end - addr;
	if (wf_peek_copy(p->window, addr, p->n, p->is_known))
		return true;
	p->n = 0;
	return false;
}

bool
wf_peek_word(struct wf_peek *p, uintptr_t addr, uintptr_t *ret)
{
	if (addr < p->lo || addr >= p->hi || p->hi - addr < sizeof(*ret))
		return false;
	if (addr < p->at || addr - p->at > p->n || p->n - (addr - p->at) < sizeof(*ret)) {
		/* An unaligned word may stand on two pages: it is read by itself. */
		if (addr % sizeof(*ret) != 0)
			return wf_peek_copy(ret, addr, sizeof(*ret), p->is_known);
		if (!load(p, addr))
			return false;
	}
	memcpy(ret, p->window + (addr - p->at), sizeof(*ret));
	return true;
}
