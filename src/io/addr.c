/*
 * Parsing of addresses. Knows no system call.
 */
#define _GNU_SOURCE
#include "io/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static const struct network {
	const char *name;
	int family, type;
} networks[] = {
    {"tcp", AF_UNSPEC, SOCK_STREAM},
    {"tcp4", AF_INET, SOCK_STREAM},
    {"tcp6", AF_INET6, SOCK_STREAM},
    {"udp", AF_UNSPEC, SOCK_DGRAM},
    {"udp4", AF_INET, SOCK_DGRAM},
    {"udp6", AF_INET6, SOCK_DGRAM},
    {"unix", AF_UNIX, SOCK_STREAM},
};

/* As in the C locale, whatever the program has set. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A port number, or the name of a service. */
static int
parse_service(const char *text, struct addr_spec *ret)
{
	size_t len = strlen(text);
	bool digits = true;
	int port = 0;

	if (len >= ADDR_SERVICE_MAX)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(text[i]) && !is_letter(text[i]) && text[i] != '-' && text[i] != '_')
			return -EINVAL;
		digits = digits && is_digit(text[i]);
	}
	memcpy(ret->service, len == 0 ? "0" : text, len == 0 ? 2 : len + 1);
	ret->port = -1;
	if (!digits)
		return 0;
	for (size_t i = 0; i < len; i++) {
		port = port * 10 + (text[i] - '0');
		if (port > 65535)
			return -EINVAL;
	}
	ret->port = port;
	return 0;
}

/* "host:port" or "[host]:port": the colon before the port, or NULL; the host's end in *ret_len. */
static const char *
find_port(const char *address, const char **ret_host, size_t *ret_len)
{
	const char *end, *colon;

	if (*address == '[') {
		end = strchr(address, ']');
		if (end == NULL || end[1] != ':' || end == address + 1)
			return NULL;
		*ret_host = address + 1;
		*ret_len = (size_t)(end - *ret_host);
		return end + 1;
	}
	colon = strrchr(address, ':');
	if (colon == NULL || memchr(address, ':', (size_t)(colon - address)) != NULL)
		return NULL;	/* "::1:80": which colon is meant? */
	*ret_host = address;
	*ret_len = (size_t)(colon - address);
	return colon;
}

static int
parse_path(const char *address, struct addr_spec *ret)
{
	size_t len = strlen(address);

	/* The kernel takes a path without room for its NUL; other programs do not. */
	if (len == 0 || len >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -EINVAL;
	if (len == 1 && *address == '@')
		return -EINVAL;
	ret->path = address;
	return 0;
}

int
wf_addr_parse(const char *network, const char *address, struct addr_spec *ret)
{
	const struct network *net = networks;
	const char *host, *colon;
	size_t len;

	if (network == NULL || address == NULL)
		return -EINVAL;
	while (strcmp(net->name, network) != 0)
		if (++net == networks + sizeof(networks) / sizeof(*networks))
			return -EINVAL;
	*ret = (struct addr_spec){.family = net->family, .type = net->type, .port = -1};
	if (net->family == AF_UNIX)
		return parse_path(address, ret);
	colon = find_port(address, &host, &len);
	if (colon == NULL || len >= ADDR_HOST_MAX)
		return -EINVAL;
	/* No blanks, control characters and more brackets; letters may be of any language. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)host[i] <= ' ' || host[i] == '\177' || host[i] == '[' ||
		    host[i] == ']')
			return -EINVAL;
	memcpy(ret->host, host, len);
	return parse_service(colon + 1, ret);
}

static void
set_in(struct addr *a, struct in_addr in, int port)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = in};

	memcpy(&a->ss, &sin, sizeof(sin));
	a->len = sizeof(sin);
}

static void
set_in6(struct addr *a, struct in6_addr in6, int port)
{
	struct sockaddr_in6 sin6 = {
	    .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6};

	memcpy(&a->ss, &sin6, sizeof(sin6));
	a->len = sizeof(sin6);
}

static void
set_un(struct addr *a, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	memcpy(sun.sun_path, path, len);
	if (*path == '@')
		sun.sun_path[0] = '\0';	/* abstract: not a file, and all bytes count */
	else
		len++;
	memcpy(&a->ss, &sun, sizeof(sun));
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

int
wf_addr_local(const struct addr_spec *s, bool passive, struct addr ret[2])
{
	struct in_addr in = {.s_addr = htonl(passive ? INADDR_ANY : INADDR_LOOPBACK)};
	struct in6_addr in6;
	int n = 0;

	memset(ret, 0, 2 * sizeof(*ret));
	if (s->family == AF_UNIX) {
		set_un(&ret[0], s->path);
		return 1;
	}
	if (s->port < 0)
		return 0;
	if (s->host[0] == '\0') {
		in6 = passive ? in6addr_any : in6addr_loopback;
		if (s->family != AF_INET)
			set_in6(&ret[n++], in6, s->port);
		if (s->family != AF_INET6)
			set_in(&ret[n++], in, s->port);
	} else if (s->family != AF_INET6 && inet_pton(AF_INET, s->host, &in) == 1) {
		set_in(&ret[n++], in, s->port);
	} else if (s->family != AF_INET && inet_pton(AF_INET6, s->host, &in6) == 1) {
		set_in6(&ret[n++], in6, s->port);
	}
	return n;
}
