/*
 * From the target of a request to an open file. Knows no sockets.
 *
 * The safety of a file server is decided here, and not by looking for ".." in
 * strings: the kernel is asked to resolve the whole path beneath the root
 * (openat2 with RESOLVE_BENEATH), so neither "..", nor "%2e%2e", nor a symbolic
 * link, nor a rename at the wrong moment leads out of it.
 */
#include "httpd.h"

#include <errno.h>
#include <string.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Decodes the path into @res. Leading slashes become one: "//host/x" would be a
 * place elsewhere if it came back in a Location. 0, or an HTTP status.
 */
static int
decode(struct span from, struct resource *res)
{
	size_t n = 0, i = 0;

	if (from.n == 0 || from.p[0] != '/')
		return 400;
	while (i + 1 < from.n && from.p[i + 1] == '/')
		i++;
	while (i < from.n) {
		char c = from.p[i++];

		if (c == '%') {
			int hi = i < from.n ? hex(from.p[i]) : -1;
			int lo = i + 1 < from.n ? hex(from.p[i + 1]) : -1;

			if (hi < 0 || lo < 0)
				return 400;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '\0')
			return 400;
		if (n == 1 && c == '/')
			continue;	/* "/%2fhost" */
		res->path[n++] = c;
	}
	res->path[n] = '\0';
	res->path_len = n;
	return 0;
}

/* True if a part of the path begins with a dot: .git and .ssh are nobody's business. */
static bool
is_hidden(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/.")); p += 2) {
		const char *name = p + 1;
		size_t n = strcspn(name, "/");

		if (n == 1 || (n == 2 && name[1] == '.'))
			continue;	/* "." and ".." are the kernel's to judge */
		if (n == 11 && !memcmp(name, ".well-known", n))
			continue;	/* RFC 8615 */
		return true;
	}
	return false;
}

/* The HTTP status for why a file could not be opened. */
static int
status_of_error(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENOTDIR:
		return 404;
	case -ENAMETOOLONG:
		return 414;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return 503;
	case -EACCES:
	case -EPERM:
	case -ELOOP:
	case -EXDEV:	/* the path leads out of the root */
	case -ENXIO:	/* a socket, or a device without a driver */
		return 403;
	default:
		return 500;
	}
}

/* Opens the path as it is in @res now, relative to the root. 0 or a negative errno. */
static int
open_path(int root_fd, struct resource *res)
{
	/* openat2 takes "/x" for the real root, and that is not beneath. */
	int fd = sys_open_beneath(root_fd, res->path_len > 1 ? res->path + 1 : ".");
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &res->st);
	if (r < 0) {
		weft_close(fd);
		return r;
	}
	res->fd = fd;
	return 0;
}

/* A name with a slash at its end: the index if there is one, else the directory. */
static int
open_dir(int root_fd, struct resource *res)
{
	size_t n = res->path_len;
	int r;

	memcpy(res->path + n, "index.html", sizeof("index.html"));
	res->path_len += sizeof("index.html") - 1;
	r = open_path(root_fd, res);
	if (r == 0 && S_ISREG(res->st.st_mode))
		return 0;
	if (r == 0)
		resource_close(res);
	else if (r != -ENOENT)
		return r;
	res->path[n] = '\0';
	res->path_len = n;
	return open_path(root_fd, res);
}

/* The type by the name, or else by how the file begins. */
static const char *
type_of(const struct resource *res)
{
	const char *type = mime_by_name(res->path, res->path_len);
	char head[512];
	ssize_t n;

	if (type)
		return type;
	n = weft_pread(res->fd, head, sizeof(head), 0, WEFT_FOREVER);
	return mime_by_content(head, n > 0 ? (size_t)n : 0);
}

static int
classify(struct resource *res)
{
	bool has_slash = res->path[res->path_len - 1] == '/';

	if (S_ISREG(res->st.st_mode)) {
		res->kind = RES_FILE;
		res->type = type_of(res);
		return 0;
	}
	if (S_ISDIR(res->st.st_mode) && has_slash) {
		res->kind = RES_DIR;
		return 0;
	}
	resource_close(res);
	if (S_ISDIR(res->st.st_mode)) {
		res->kind = RES_REDIRECT;
		return 0;
	}
	return 403;	/* a FIFO, a device */
}

/* Splits the target: "/path?query", or "http://host/path?query" as proxies send it. */
static int
split(struct span uri, struct span *ret_path, struct span *ret_query)
{
	const char *q;

	if (uri.n > 0 && uri.p[0] != '/') {
		struct http_parser_url u;

		http_parser_url_init(&u);
		if (http_parser_parse_url(uri.p, uri.n, 0, &u) || !(u.field_set & 1 << UF_HOST))
			return 400;
		if (!(u.field_set & 1 << UF_PATH)) {
			*ret_path = (struct span){ "/", 1 };
			return 0;
		}
		uri.p += u.field_data[UF_PATH].off;
		uri.n -= u.field_data[UF_PATH].off;
	}
	q = memchr(uri.p, '#', uri.n);
	if (q)
		uri.n = (size_t)(q - uri.p);
	q = memchr(uri.p, '?', uri.n);
	if (q) {
		*ret_query = (struct span){ q + 1, (size_t)(uri.p + uri.n - q - 1) };
		uri.n = (size_t)(q - uri.p);
	}
	*ret_path = uri;
	return 0;
}

int
resource_open(int root_fd, struct span uri, struct resource *res)
{
	struct span path;
	int r;

	res->fd = -1;
	res->query = (struct span){ 0 };
	r = split(uri, &path, &res->query);
	if (r == 0)
		r = decode(path, res);
	if (r)
		return r;
	if (is_hidden(res->path))
		return 404;
	if (res->path[res->path_len - 1] == '/')
		r = open_dir(root_fd, res);
	else
		r = open_path(root_fd, res);
	return r < 0 ? status_of_error(r) : classify(res);
}

void
resource_close(struct resource *res)
{
	if (res->fd >= 0)
		weft_close(res->fd);
	res->fd = -1;
}
