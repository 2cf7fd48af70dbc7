/*
 * Text to a descriptor. See out.h.
 */
#include "debug/out.h"

#include "os/os.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

/* A reader that stands still for so long is given up: others want something, too. */
#define STUCK_MS 5000

void
wf_out_init(struct wf_out *o, int fd)
{
	o->fd = fd;
	o->n = 0;
	o->is_broken = false;
	o->copy_fd = -1;
	o->patience_ms = -1;
}

int
wf_out_all(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n > 0) {
		ssize_t r = wf_os_write(fd, at, n);

		if (r == -EAGAIN) {
			if (wf_os_poll_wait(fd, POLLOUT, STUCK_MS) > 0)
				continue;
			r = -ETIMEDOUT;
		}
		if (r <= 0)
			return r < 0 ? (int)r : -EIO;
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/*
 * A pipe that takes anything takes a page, which is more than buf has: what is written then does
 * not block, unless somebody else was faster.
 */
static bool
is_read(const struct wf_out *o)
{
	return o->patience_ms < 0 || wf_os_poll_wait(o->fd, POLLOUT, o->patience_ms) > 0;
}

void
wf_out_flush(struct wf_out *o)
{
	if (!o->is_broken && o->n > 0)
		o->is_broken = !is_read(o);
	if (!o->is_broken)
		o->is_broken = wf_out_all(o->fd, o->buf, o->n) != 0;
	if (o->copy_fd >= 0 && wf_out_all(o->copy_fd, o->buf, o->n) != 0)
		o->copy_fd = -1;
	o->n = 0;
}

void
wf_out_mem(struct wf_out *o, const char *s, size_t n)
{
	while (n > 0) {
		size_t part = wf_min(n, sizeof(o->buf) - o->n);

		memcpy(o->buf + o->n, s, part);
		o->n += part;
		s += part;
		n -= part;
		if (o->n == sizeof(o->buf))
			wf_out_flush(o);
	}
}

void
wf_out_str(struct wf_out *o, const char *s)
{
	wf_out_mem(o, s, strlen(s));
}

void
wf_out_quoted(struct wf_out *o, const char *s)
{
	wf_out_str(o, "\"");
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			wf_out_str(o, "\\");
		wf_out_mem(o, s, 1);
	}
	wf_out_str(o, "\"");
}

void
wf_out_u64(struct wf_out *o, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	wf_out_mem(o, digits + i, sizeof(digits) - i);
}

void
wf_out_i64(struct wf_out *o, int64_t v)
{
	if (v < 0)
		wf_out_mem(o, "-", 1);
	wf_out_u64(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
wf_out_seconds(struct wf_out *o, uint64_t ns)
{
	char digits[] = "000000000";
	uint64_t part = ns % 1000000000;

	wf_out_u64(o, ns / 1000000000);
	for (size_t i = 9; i-- > 0; part /= 10)
		digits[i] = (char)('0' + part % 10);
	wf_out_str(o, ".");
	wf_out_str(o, digits);
}

void
wf_out_hex(struct wf_out *o, uint64_t v)
{
	char digits[16];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v != 0);
	wf_out_mem(o, "0x", 2);
	wf_out_mem(o, digits + i, sizeof(digits) - i);
}

void
wf_out_indented(struct wf_out *o, const char *s)
{
	const char *nl;

	for (; (nl = strchr(s, '\n')) != NULL; s = nl + 1) {
		wf_out_mem(o, s, (size_t)(nl + 1 - s));
		wf_out_mem(o, "\t", 1);
	}
	wf_out_str(o, s);
}
