/*
 * From the text of an address to socket addresses, by way of weft_lookup() if it has names.
 */
#include "io/resolve.h"

#include "os/os.h"

#include <errno.h>
#include <netdb.h>

/* A name to listen at stands for one address: the first of IPv4 if there is one, as in Go. */
static void
take_one(struct addr_list *l)
{
	for (struct addrinfo *a = l->found; a != NULL; a = a->ai_next) {
		if (a->ai_family == AF_INET) {
			l->next = a;
			break;
		}
	}
	l->n = 1;
}

int
wf_addr_list_init(struct addr_list *l, const struct addr_spec *s, bool passive, int64_t deadline)
{
	struct addrinfo hints = {
	    .ai_family = s->family,
	    .ai_socktype = s->type,
	    .ai_flags = passive ? AI_PASSIVE : 0,
	};
	int r;

	l->found = NULL;
	l->n = l->n_own = wf_addr_local(s, passive, l->own);
	if (l->n > 0)
		return 0;
	r = wf_io_lookup(
	    s->host[0] == '\0' ? NULL : s->host, s->service, &hints, &l->found, deadline);
	if (r < 0)
		return r;
	for (struct addrinfo *a = l->found; a != NULL; a = a->ai_next)
		l->n++;
	l->next = l->found;
	if (passive && s->host[0] != '\0' && l->n > 1)
		take_one(l);
	return l->n > 0 ? 0 : -ENOENT;
}

const struct sockaddr *
wf_addr_list_next(struct addr_list *l, int i, socklen_t *ret_len)
{
	const struct addrinfo *a = l->next;

	if (l->found == NULL) {
		*ret_len = l->own[i].len;
		return (const struct sockaddr *)&l->own[i].ss;
	}
	l->next = a->ai_next;
	*ret_len = a->ai_addrlen;
	return a->ai_addr;
}

void
wf_addr_list_fini(struct addr_list *l)
{
	if (l->found != NULL)
		wf_os_freeaddrinfo(l->found);
}
