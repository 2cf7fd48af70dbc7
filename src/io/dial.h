/*
 * Between dial.c, one address after the other, and race.c, several at a time.
 */
#ifndef WEFT_IO_DIAL_H
#define WEFT_IO_DIAL_H

#include "io/resolve.h"

#include <errno.h>

struct dial {
	int type;			/* SOCK_STREAM or SOCK_DGRAM */
	const weft_dial_options *o;	/* complete */
	int64_t deadline;
};

#define DIAL_TRIES 3			/* as Go: twice again */
#define DIAL_SELF (-ELOOP)		/* inside these files: connected to itself */

/* A socket with all its options, not connected, or an error. May park. */
WF_PARKS int wf_dial_socket(const struct dial *d, int family);
/* What a connection that was made is worth: 0, or DIAL_SELF. */
int wf_dial_check(const struct dial *d, int fd, int family);
/* A local port that the kernel picked and could not have, or had, is worth a new try. */
static inline bool
dial_again(int r, int tries)
{
	return (r == DIAL_SELF || r == -EADDRNOTAVAIL) && tries < DIAL_TRIES;
}

/* RFC 8305 over all addresses of l, of which there are more than one. */
WF_PARKS int wf_dial_race(const struct dial *d, struct addr_list *l);

#endif /* WEFT_IO_DIAL_H */
