/*
 * The addresses that a "host:port" stands for, one after the other.
 */
#ifndef WEFT_IO_RESOLVE_H
#define WEFT_IO_RESOLVE_H

#include "io/addr.h"
#include "io/io.h"

struct addr_list {
	struct addr own[2];
	int n_own;
	struct addrinfo *found;		/* or NULL; freed by wf_addr_list_fini() */
	struct addrinfo *next;
	int n;				/* how many there are in all */
};

/* Asks whoever must be asked. 0, or as weft_lookup(). */
WF_PARKS int wf_addr_list_init(struct addr_list *l, const struct addr_spec *s, bool passive,
    int64_t deadline);
/* The i-th, 0 <= i < l->n, in order. */
const struct sockaddr *wf_addr_list_next(struct addr_list *l, int i, socklen_t *ret_len);
void wf_addr_list_fini(struct addr_list *l);

#endif /* WEFT_IO_RESOLVE_H */
