/*
 * For libFuzzer: addresses as users write them.
 *
 * fuzz: src/io/addr.c
 */
#define _GNU_SOURCE
#include "io/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool cond)
{
	if (!cond)
		abort();
}

/* What was understood, written again and read again, is the same. */
static void
check_again(const char *network, const struct addr_spec *s)
{
	char text[ADDR_HOST_MAX + ADDR_SERVICE_MAX + 8];
	struct addr_spec again;

	if (strchr(s->host, ':') != NULL)
		snprintf(text, sizeof(text), "[%s]:%s", s->host, s->service);
	else
		snprintf(text, sizeof(text), "%s:%s", s->host, s->service);
	require(wf_addr_parse(network, text, &again) == 0);
	require(strcmp(again.host, s->host) == 0 && strcmp(again.service, s->service) == 0);
	require(again.port == s->port && again.family == s->family && again.type == s->type);
}

static void
check_local(const struct addr_spec *s, const char *text)
{
	for (int passive = 0; passive < 2; passive++) {
		struct addr a[2];
		int n = wf_addr_local(s, passive != 0, a);

		require(n >= 0 && n <= 2);
		for (int i = 0; i < n; i++) {
			const struct sockaddr_in *in = (const void *)&a[i].ss;

			require(a[i].len > 2 && a[i].len <= sizeof(a[i].ss));
			require(s->family == AF_UNSPEC || a[i].ss.ss_family == s->family);
			if (a[i].ss.ss_family != AF_UNIX)
				require(ntohs(in->sin_port) == s->port);
			else
				require(a[i].len <= sizeof(struct sockaddr_un) && s->path == text);
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const networks[]
	    = {"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "unix", "tcp5"};
	struct addr_spec s;
	char *text;
	int r;

	if (n == 0)
		return 0;
	text = malloc(n);	/* its NUL is the last byte that there is */
	memcpy(text, data + 1, n - 1);
	text[n - 1] = '\0';
	r = wf_addr_parse(networks[data[0] % 8], text, &s);
	require(r == 0 || r == -EINVAL);
	require(r != 0 || data[0] % 8 != 7);
	if (r == 0) {
		require(s.port >= -1 && s.port <= 65535);
		if (s.family != AF_UNIX)
			check_again(networks[data[0] % 8], &s);
		check_local(&s, text);
	}
	free(text);
	return 0;
}
