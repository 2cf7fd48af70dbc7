/*
 * Addresses as users write them: "127.0.0.1:80", "[::1]:http", ":0", "/path", "@abstract".
 * Pure text and numbers, nothing here asks the system.
 */
#ifndef WEFT_IO_ADDR_H
#define WEFT_IO_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

#define ADDR_HOST_MAX 256	/* a name has at most 253 characters; with the NUL */
#define ADDR_SERVICE_MAX 32

struct addr_spec {
	int family;			/* AF_UNSPEC: both of IP; AF_INET, AF_INET6, AF_UNIX */
	int type;			/* SOCK_STREAM or SOCK_DGRAM */
	char host[ADDR_HOST_MAX];	/* "" = none was given. Without brackets */
	char service[ADDR_SERVICE_MAX];	/* "" became "0". */
	int port;			/* -1: service is a name */
	const char *path;		/* AF_UNIX: the address as given, borrowed */
};

struct addr {
	struct sockaddr_storage ss;
	socklen_t len;
};

/* 0 or -EINVAL. */
int wf_addr_parse(const char *network, const char *address, struct addr_spec *ret);

/*
 * The addresses of s that need nobody to be asked: a path, numbers, or no host at all (then all
 * addresses of this machine if passive, else the one it has for itself). At most 2. Returns how
 * many; 0: there are names in it.
 */
int wf_addr_local(const struct addr_spec *s, bool passive, struct addr ret[2]);

#endif /* WEFT_IO_ADDR_H */
