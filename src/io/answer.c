/*
 * Copies of answers of getaddrinfo(3), for those who shared a question.
 */
#include "io/io.h"

#include "os/os.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* As glibc's freeaddrinfo(3) frees it: the address behind the record, the name by itself. */
static struct addrinfo *
copy_one(const struct addrinfo *a)
{
	struct addrinfo *c = malloc(sizeof(*c) + a->ai_addrlen);
	size_t n;

	if (c == NULL)
		return NULL;
	*c = *a;
	c->ai_next = NULL;
	c->ai_addr = memcpy(c + 1, a->ai_addr, a->ai_addrlen);
	if (a->ai_canonname == NULL)
		return c;
	n = strlen(a->ai_canonname) + 1;
	c->ai_canonname = malloc(n);
	if (c->ai_canonname == NULL) {
		free(c);
		return NULL;
	}
	memcpy(c->ai_canonname, a->ai_canonname, n);
	return c;
}

struct addrinfo *
wf_addrinfo_copy(const struct addrinfo *a)
{
	struct addrinfo *first = NULL, **at = &first;

	for (; a != NULL; a = a->ai_next, at = &(*at)->ai_next) {
		*at = copy_one(a);
		if (*at == NULL) {
			if (first != NULL)
				wf_os_freeaddrinfo(first);
			return NULL;
		}
	}
	return first;
}
