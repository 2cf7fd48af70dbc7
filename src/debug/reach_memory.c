/*
 * Going through memory. See reach_memory.h.
 */
#include "debug/reach_memory.h"

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Of address space: pagemap has 2 GiB of entries for it, read in a second. */
#define BYTES_MAX ((uint64_t)1 << 40)
#define STEPS_TO_CLOCK 4096u	/* of a sort: under a millisecond */
#define PAGE_PRESENT ((uint64_t)1 << 63)
#define PAGE_SWAPPED ((uint64_t)1 << 62)

/* ---- sorting: qsort(3) may copy what it sorts into memory of malloc's ---- */

static uintptr_t
key(const char *items, size_t i, size_t bytes)
{
	uintptr_t k;

	memcpy(&k, items + i * bytes, sizeof(k));
	return k;
}

static void
swap(char *items, size_t i, size_t j, size_t bytes)
{
	char t[64];

	memcpy(t, items + i * bytes, bytes);
	memcpy(items + i * bytes, items + j * bytes, bytes);
	memcpy(items + j * bytes, t, bytes);
}

static void
sift(char *items, size_t i, size_t n, size_t bytes)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && key(items, child + 1, bytes) > key(items, child, bytes))
			child++;
		if (key(items, i, bytes) >= key(items, child, bytes))
			return;
		swap(items, i, child, bytes);
	}
}

/* R7: millions take seconds. Each n-th step looks at the clock. */
static bool
is_late_at(struct reach_memory *m, size_t step)
{
	return step % STEPS_TO_CLOCK == 0 && wf_reach_is_late(m);
}

bool
wf_reach_sort(struct reach_memory *m, void *items, size_t n, size_t bytes)
{
	for (size_t i = n / 2; i-- > 0;) {
		if (is_late_at(m, i))
			return false;
		sift(items, i, n, bytes);
	}
	while (n > 1) {
		if (is_late_at(m, --n))
			return false;
		swap(items, 0, n, bytes);
		sift(items, 0, n, bytes);
	}
	return true;
}

/* ---- ranges ---- */

void
wf_reach_hole(struct reach_memory *m, uintptr_t lo, uintptr_t hi)
{
	struct reach_range hole = { lo, hi };
	uint8_t *at = wf_trace_out_room(&m->holes, sizeof(hole));

	if (at == NULL || lo >= hi)
		return;		/* without memory wf_reach_all() refuses */
	memcpy(at, &hole, sizeof(hole));
	m->holes.n += sizeof(hole);
}

bool
wf_reach_is_late(struct reach_memory *m)
{
	m->is_late = m->is_late || wf_os_now() >= m->deadline;
	return m->is_late;
}

/* Reads n bytes at lo, in halves where a part of them is gone. */
static void
read_words(struct reach_memory *m, uintptr_t lo, size_t n)
{
	size_t page = wf_os_page_size(), half;
	int r;

	if (wf_reach_is_late(m))
		return;
	r = wf_os_peek(m->window, lo, n);
	if (r == 0) {
		m->words(m->arg, m->window, n / sizeof(m->window[0]));
		return;
	}
	if (r != -EFAULT) {
		m->is_refused = true;
		return;
	}
	half = (n / 2 + page - 1) & ~(page - 1);
	if (half >= n)
		return;
	read_words(m, lo, half);
	read_words(m, lo + half, n - half);
}

void
wf_reach_range(struct reach_memory *m, uintptr_t lo, uintptr_t hi)
{
	lo = (lo + sizeof(uintptr_t) - 1) & ~(sizeof(uintptr_t) - 1);
	hi &= ~(sizeof(uintptr_t) - 1);
	for (size_t n; lo < hi; lo += n) {
		n = wf_min(hi - lo, sizeof(m->window));
		read_words(m, lo, n);
	}
}

/* The others are zero, or what their file holds. */
bool
wf_reach_touched(struct reach_memory *m, uintptr_t lo, uintptr_t hi)
{
	size_t page = wf_os_page_size(), n, run;

	for (uintptr_t at = lo & ~(page - 1); at < hi; at += n * page) {
		struct iovec v = { m->entries, 0 };

		n = wf_min((hi - at + page - 1) / page, (size_t)REACH_WORDS);
		v.iov_len = n * sizeof(m->entries[0]);
		if (wf_reach_is_late(m) ||
		    wf_os_preadv(m->pages, &v, 1, (off_t)(at / page * sizeof(uint64_t))) !=
		    (ssize_t)v.iov_len)
			return false;
		for (size_t i = 0; i < n; i += run + 1) {
			for (run = 0; i + run < n && (m->entries[i + run] &
			    (PAGE_PRESENT | PAGE_SWAPPED)) != 0; run++)
				continue;
			wf_reach_range(m, wf_max(at + i * page, lo),
			    wf_min(at + (i + run) * page, hi));
		}
	}
	return true;
}

/* [lo, hi) without the holes in it. */
static bool
read_around_holes(struct reach_memory *m, uintptr_t lo, uintptr_t hi)
{
	const struct reach_range *holes = (const void *)m->holes.data;
	size_t n = m->holes.n / sizeof(*holes), first = 0, end = n;

	while (first < end) {
		size_t mid = first + (end - first) / 2;

		if (holes[mid].lo <= lo)
			first = mid + 1;
		else
			end = mid;
	}
	if (first > 0)
		lo = wf_max(lo, holes[first - 1].hi);
	for (; first < n && holes[first].lo < hi && lo < hi; first++) {
		if (holes[first].lo > lo && !wf_reach_touched(m, lo, holes[first].lo))
			return false;
		lo = wf_max(lo, holes[first].hi);
	}
	return lo >= hi || wf_reach_touched(m, lo, hi);
}

/* ---- what there is ---- */

static bool
begins(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/*
 * What can't be written is what its file holds, and reading a device may do something. Below /dev
 * there are files of tmpfs and hugetlbfs, too.
 */
bool
wf_reach_is_memory(const char *rights, const char *path)
{
	if (rights[0] != 'r' || begins(path, "[v"))
		return false;
	if (begins(path, "/dev/"))
		return begins(path, "/dev/shm/") || begins(path, "/dev/zero") ||
		    begins(path, "/dev/hugepages");
	return rights[1] == 'w' || path[0] != '/';
}

/* LO-HI RIGHTS OFFSET DEVICE INODE [PATH] */
static bool
read_mapping(struct reach_memory *m, const char *line)
{
	char *end;
	uintptr_t lo = (uintptr_t)strtoull(line, &end, 16), hi;
	const char *rights, *path;

	if (*end != '-')
		return false;
	hi = (uintptr_t)strtoull(end + 1, &end, 16);
	if (*end != ' ')
		return false;
	rights = end + 1;
	path = strpbrk(rights, "/[");
	if (!wf_reach_is_memory(rights, path != NULL ? path : ""))
		return true;
	m->bytes += hi - lo;
	return m->bytes <= BYTES_MAX && read_around_holes(m, lo, hi);
}

/* The next line of maps, cut where it is too long; NULL at the end. */
static char *
next_line(struct reach_memory *m, size_t *used, off_t *at)
{
	char *from = m->text + *used, *newline = memchr(from, '\n', m->n_text - *used);

	if (newline == NULL) {
		struct iovec v;
		ssize_t n;

		m->n_text -= *used;
		memmove(m->text, from, m->n_text);
		*used = 0;
		v.iov_base = m->text + m->n_text;
		v.iov_len = sizeof(m->text) - 1 - m->n_text;
		n = wf_os_preadv(m->maps, &v, 1, *at);
		if (n <= 0)
			return NULL;
		*at += n;
		m->n_text += (size_t)n;
		return next_line(m, used, at);
	}
	*newline = '\0';
	*used = (size_t)(newline - m->text) + 1;
	return from;
}

bool
wf_reach_all(struct reach_memory *m)
{
	size_t used = 0;
	off_t at = 0;
	char *line;
	bool ok = !m->holes.failed && wf_reach_sort(m, m->holes.data,
	    m->holes.n / sizeof(struct reach_range), sizeof(struct reach_range));

	m->bytes = 0;
	m->n_text = 0;
	while (ok && (line = next_line(m, &used, &at)) != NULL)
		ok = read_mapping(m, line);
	return ok && m->bytes > 0 && m->n_text == 0;	/* a line that has no room ends it, too */
}

/* An emulator may show us the pages of another address space: is what we write on there? */
static bool
is_told_truth(struct reach_memory *m)
{
	off_t at = (off_t)((uintptr_t)m->text / wf_os_page_size() * sizeof(uint64_t));
	uint64_t entry = 0;
	struct iovec v = { &entry, sizeof(entry) };

	m->text[0] = 1;
	return wf_os_preadv(m->pages, &v, 1, at) == (ssize_t)sizeof(entry) &&
	    (entry & (PAGE_PRESENT | PAGE_SWAPPED)) != 0;
}

bool
wf_reach_open(struct reach_memory *m, void (*words)(void *, const uintptr_t *, size_t), void *arg,
    int64_t deadline)
{
	m->deadline = deadline;
	m->words = words;
	m->arg = arg;
	m->maps = wf_os_open("/proc/self/maps", O_RDONLY, 0);
	m->pages = wf_os_open("/proc/self/pagemap", O_RDONLY, 0);
	return m->maps >= 0 && m->pages >= 0 && is_told_truth(m);
}

void
wf_reach_close(struct reach_memory *m)
{
	if (m->maps >= 0)
		(void)wf_os_close(m->maps);
	if (m->pages >= 0)
		(void)wf_os_close(m->pages);
	wf_trace_out_free(&m->holes);
}
