/*
 * What the simulated machine grants: memory, processors, names, nothing of the real one's /proc.
 */
#define _GNU_SOURCE
#include "world.h"

#include "real.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

void *
wf_os_map(size_t bytes)
{
	if (wf_sim_is_on()) {
		wf_sim_call();
		if (wf_sim_refuses() || wf_sim_fault(WEFT_SIM_NO_MEMORY, 2))
			return NULL;
	}
	return wf_real_map(bytes);
}

int
wf_os_guard_install(void *p, size_t bytes)
{
	return wf_sim_refuses() ? -ENOMEM : wf_real_guard_install(p, bytes);
}

int
wf_os_make_ready(void *const guards[], size_t guard_bytes, void *const pages[], size_t page_bytes,
    unsigned n)
{
	if (wf_sim_refuses())
		return -ENOMEM;
	return wf_real_make_ready(guards, guard_bytes, pages, page_bytes, n);
}

int
wf_os_protect_none(void *p, size_t bytes)
{
	return wf_sim_refuses() ? -ENOMEM : wf_real_protect_none(p, bytes);
}

/* What the runtime calls for malloc(3) and so on: the build renames them. */

void *
wf_sim_malloc(size_t n)
{
	return wf_sim_refuses() ? NULL : malloc(n);
}

void *
wf_sim_calloc(size_t count, size_t n)
{
	return wf_sim_refuses() ? NULL : calloc(count, n);
}

void *
wf_sim_realloc(void *p, size_t n)
{
	return wf_sim_refuses() ? NULL : realloc(p, n);
}

void *
wf_sim_aligned_alloc(size_t alignment, size_t n)
{
	return wf_sim_refuses() ? NULL : aligned_alloc(alignment, n);
}

int
wf_os_affinity_count(void)
{
	return wf_sim_is_on() ? wf_sim.options.procs : wf_real_affinity_count();
}

/* The limits of the machine that the test happens to run on are not the simulated one's. */
ssize_t
wf_os_read_file(const char *path, char *buf, size_t cap)
{
	if (wf_sim_is_on() && (strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0))
		return -ENOENT;
	return wf_real_read_file(path, buf, cap);
}

const char *
wf_os_getenv(const char *name)
{
	if (wf_sim_is_on() && strcmp(name, "WEFT_POLLER") == 0)
		return wf_sim.poller;
	if (wf_sim_is_on() && strcmp(name, "WEFT_DEBUG") != 0)
		return NULL;
	return wf_real_getenv(name);
}

/* A process would live in real time. */
int
wf_os_spawn(const struct wf_os_spawn *s, int *ret_pid)
{
	return wf_sim_is_on() ? -ENOSYS : wf_real_spawn(s, ret_pid);
}

/* The machine knows numbers, and itself by the name of localhost. */
int
wf_os_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
    struct addrinfo **res, int *ret_errno)
{
	struct addrinfo h = {0};

	if (!wf_sim_is_on())
		return wf_real_getaddrinfo(host, service, hints, res, ret_errno);
	wf_sim_call();
	if (hints != NULL)
		h = *hints;
	h.ai_flags = (h.ai_flags & ~AI_ADDRCONFIG) | AI_NUMERICHOST;
	if (host != NULL && strcmp(host, "localhost") == 0)
		host = h.ai_family == AF_INET6 ? "::1" : "127.0.0.1";
	return wf_real_getaddrinfo(host, service, &h, res, ret_errno);
}
