/*
 * weft-httpd: static files over HTTP/1.1, written the way one thinks of it.
 *
 * One goroutine per connection reads a request, finds the file, sends it, and
 * starts again. Every call below that waits parks that one goroutine; nobody
 * registers callbacks, keeps a state machine, or counts threads.
 *
 * This header is the map of the program. Each section belongs to one file:
 *
 *	main.c      options, start, signals
 *	server.c    listen, accept, refuse, the list of connections, stop
 *	conn.c      the loop of one connection, its buffers and its deadlines
 *	wire.c      the bytes of a connection, plain or by TLS
 *	request.c   bytes -> struct request (by libhttp-parser)
 *	resource.c  path of a request -> open file
 *	precond.c   If-Match and friends, ranges: what of the file is wanted
 *	respond.c   status line, header fields, body
 *	listing.c   a page for a directory without an index
 *	mime.c      name -> content type
 *	httpdate.c  seconds <-> "Sun, 06 Nov 1994 08:49:37 GMT"
 *	text.c      percent-encoding, sizes
 *	status.c    counters, the line on the terminal, the access log
 *	sys.c       system calls that weft does not wrap
 *
 * What waits, waits through weft; what fails, returns a negative errno. The
 * variable errno itself is read in sys.c only: a goroutine may go on on another
 * thread after any weft call, and errno would be that other thread's.
 */
#ifndef HTTPD_H
#define HTTPD_H

#include <dirent.h>
#include <http_parser.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <weft.h>
#include <weft/tls.h>

#define SECOND INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

/* ---- limits that are not options ---- */

enum {
	HEAD_MAX = 16 << 10,	/* bytes of request line and header: else 431 */
	URI_MAX = 4 << 10,	/* bytes of the request target: else 414 */
	BODY_MAX = 64 << 10,	/* bytes of a body we read and drop: else 413 */
	BODY_ROOM = 4 << 10,	/* free space behind a head, to read its body into */
	IN_CAP = HEAD_MAX + BODY_ROOM + (8 << 10),	/* a request may begin 8 KiB into it */
	OUT_CAP = 16 << 10,	/* answers are gathered here before they are sent */
	OUT_ROOM = 1 << 10,	/* an answer's header, but for a Location, or an error page */
	SEND_CHUNK = 256 << 10,	/* a client must take this much per write timeout */
};

/* ---- main.c ---- */

struct options {
	const char *root;	/* the directory served */
	const char *bind;	/* address to listen on, numeric or a name */
	const char *port;	/* "0": a free one */
	const char *cert, *key;	/* PEM files: serve HTTPS; NULL: HTTP */
	const char *log;	/* NULL: no access log; "-": standard output */
	int max_conns;		/* connections at once; more get 503 */
	int max_requests;	/* per connection */
	int64_t idle_ns;	/* keep-alive: how long to wait for the next request */
	int64_t request_ns;	/* from a request's first byte to its last */
	int64_t write_ns;	/* for each SEND_CHUNK of an answer */
	int64_t stop_ns;	/* how long a graceful stop may take */
	bool quiet;
};

/* ---- server.c ---- */

struct conn;

/*
 * The one server of the process.
 *
 *	c  constant once server_start() has returned
 *	a  the acceptor goroutine only; when it has ended, server_stop()
 *	l  under lock
 *	x  atomic: a flag, and counters that are only ever shown
 */
struct server {
	struct options opt;		/* c */
	int root_fd;			/* c  where every path begins */
	int listen_fd;			/* c */
	weft_tls_context *tls;		/* c  NULL: plain HTTP */
	weft_scope *accepting;		/* c  the acceptor is in it, alone */
	int log_fd;			/* c  -1: no access log */
	uint16_t port;			/* c */
	int reserve_fd;			/* a  given up for a moment when descriptors run out */
	int64_t complained_at;		/* a  so that a storm of errors is one line a second */

	weft_mutex lock;
	struct conn *conns;		/* l  every open connection */
	weft_waitgroup conns_open;	/* +1 per connection */

	atomic_bool stopping;		/* x  set once: answers say that they are the last */
	_Atomic uint64_t nrequests;	/* x */
	_Atomic uint64_t nbytes;	/* x  of bodies */
	_Atomic int nconns;		/* x */
	_Atomic uint64_t nrefused;	/* x  answered 503 for want of room */
};

/* Opens the root, listens, starts to accept. 0, or the exit status after a message. */
int server_start(struct server *s);

/* Finishes what was accepted, then returns how many connections had to be cut off (0: none). */
int server_stop(struct server *s);

void server_add(struct server *s, struct conn *c);
void server_remove(struct server *s, struct conn *c);

/* Ends keep-alive connections that have been idle since @before. Returns how many. */
int server_close_idle(struct server *s, int64_t before);

/* ---- request.c ---- */

/* Bytes in the connection's input buffer; p is NULL when absent. */
struct span {
	const char *p;
	size_t n;
};

/* The header fields this server understands. */
enum field {
	F_HOST,
	F_RANGE,
	F_IF_RANGE,
	F_IF_MATCH,
	F_IF_NONE_MATCH,
	F_IF_MODIFIED_SINCE,
	F_IF_UNMODIFIED_SINCE,
	F_EXPECT,
	F_COUNT,
	F_OTHER = F_COUNT,
};

struct request {
	http_parser parser;
	const char *method;		/* "GET" */
	bool is_head;
	bool keep_alive;		/* what the client wants */
	struct span uri;		/* as sent */
	struct span field[F_COUNT];

	/* While it is parsed. */
	struct span name, value;	/* the header field at hand */
	uint64_t body_bytes;
	int status;			/* not 0: the error to answer with */
	bool has_head, is_complete;
};

void request_init(struct request *r);

/*
 * request_parse - take in @n more bytes
 * @ret_used: how many of them belong to this request
 *
 * Returns 0 (look at r->is_complete: more bytes may be needed), or the HTTP status
 * that refuses the request. Spans point into @p: it must not move until the answer
 * is made, and the calls for one request must follow each other in memory until
 * r->has_head.
 */
int request_parse(struct request *r, const char *p, size_t n, size_t *ret_used);

/* ---- resource.c ---- */

enum resource_kind {
	RES_FILE,
	RES_DIR,			/* has no index: make a listing */
	RES_REDIRECT,			/* a directory named without its slash */
};

struct resource {
	enum resource_kind kind;
	int fd;				/* -1 for RES_REDIRECT; the caller closes it */
	struct stat st;
	const char *type;		/* content type, for RES_FILE */
	struct span query;		/* of the request target, without the '?' */
	/* Decoded; begins with one '/'; no NUL in it but at its end. */
	size_t path_len;
	char path[URI_MAX + sizeof("/index.html")];
};

/* Finds what the target names. 0, or the HTTP status that says why not. */
int resource_open(int root_fd, struct span uri, struct resource *res);
void resource_close(struct resource *res);

/* ---- httpdate.c ---- */

#define HTTP_DATE_LEN 29

/* Writes exactly HTTP_DATE_LEN bytes and no NUL. */
void http_date_format(char *to, int64_t unix_seconds);

/* Any of the three forms of RFC 9110 5.6.7. */
bool http_date_parse(struct span s, int64_t *ret_unix_seconds);

/* ---- precond.c ---- */

#define ETAG_MAX 40

/* A strong validator made of size and modification time. Returns its length. */
size_t etag_format(char to[ETAG_MAX], const struct stat *st);

struct wanted {
	int status;			/* 200, 206, 304, 412 or 416 */
	int64_t off, len;		/* of the body, if 200 or 206 */
};

/* What of the file in @st the request wants, by its conditions and its range. */
struct wanted precond_select(const struct request *r, const struct stat *st);

/* ---- mime.c ---- */

/* The content type for a file name, or NULL if the name does not tell. */
const char *mime_by_name(const char *name, size_t n);

/* The content type for a file that begins with these bytes: text or not. */
const char *mime_by_content(const char *p, size_t n);

/* ---- listing.c ---- */

struct text {
	char *p;
	size_t n, cap;
	bool failed;			/* out of memory: p is still valid, but not whole */
};

/* The page for the directory @res->fd; the caller frees ret->p. 0 or a negative errno. */
int listing_make(const struct resource *res, struct text *ret);

/* ---- text.c ---- */

/* Writes @c as it is if it is a letter, a digit or in @plain, else as "%41". Returns its length. */
size_t percent_encode(char to[3], char c, const char *plain);

#define SIZE_TEXT 16

/* "1.4 MB": two or three digits say enough. */
void format_size(char to[SIZE_TEXT], uint64_t bytes);

/* ---- conn.c ---- */

/* What a connection needs only while it is at work: an idle one gives it back. */
struct work {
	size_t in_start, in_end;	/* unread bytes in in[] */
	size_t out_len;			/* unsent bytes in out[] */
	struct request req;
	struct resource res;
	char in[IN_CAP];
	char out[OUT_CAP];
};

/*
 * One connection. Made by the acceptor, owned by its goroutine, freed by it after
 * server_remove(). The server's list is how server_close_idle() finds it; only
 * fields marked l or x may be touched from there.
 */
struct conn {
	struct server *server;
	struct conn *next, **prev;	/* l */
	int fd;				/* valid while on the list */
	weft_tls *tls;			/* NULL: plain; else it owns fd */
	_Atomic int64_t idle_since;	/* x  0: a request is being served */
	struct work *work;		/* NULL while it has been idle for a while */
	int nrequests;
	bool lingers;			/* the client may still be sending: see conn_end() */
	int64_t date_at;		/* the second that date[] is for */
	char date[HTTP_DATE_LEN];
	char peer[46];			/* numeric address, for the access log */
};

/* The whole life of a connection; a goroutine's function. @arg is a struct conn. */
void conn_run(void *arg);

/* Sends what is in out[]. 0 or a negative errno. @more: a file follows at once. */
int conn_flush(struct conn *c, bool more);

/* ---- wire.c: with TLS or without; results are those of the weft calls ---- */

/* Reads the certificate, if there is one. 0, or 1 after a message. */
int wire_start(struct server *s);

/* The handshake. False: there is nobody to talk to. */
bool wire_open(struct conn *c);
ssize_t wire_read(struct conn *c, void *buf, size_t n, int64_t deadline);
ssize_t wire_send(struct conn *c, const void *buf, size_t n, bool more, int64_t deadline);

/* As weft_sendfile(); what is in c->work->out must have been sent. */
ssize_t wire_send_file(struct conn *c, int file, off_t *off, size_t n, int64_t deadline);

/* Waits for something to read, while the connection needs no memory. */
bool wire_await(struct conn *c, int64_t deadline);

/* Tells the client that no more comes; it may be read from still. */
int wire_end(struct conn *c);
void wire_close(struct conn *c);

/* ---- respond.c ---- */

/* Answers a request that was understood. False: the connection must end. */
bool respond(struct conn *c);

/* Answers with an error page. False: the connection must end. */
bool respond_error(struct conn *c, int status, bool keep_alive);

/* "Not Found" */
const char *status_phrase(int status);

/* The whole answer given to a connection there is no room for. */
extern const char too_busy[];
extern const size_t too_busy_len;

/* ---- status.c ---- */

/* A goroutine's function: shows the counters once a second. @arg is the server. */
void status_run(void *arg);

/* One line of the access log, in Common Log Format. */
void access_log(struct conn *c, const struct request *r, int status, int64_t body_bytes);

/* "weft-httpd: ..." on standard error. */
void say(const char *fmt, ...) WEFT_PRINTF(1, 2);

/* ---- sys.c: each returns what the call returns, or a negative errno ---- */

/* Opens @path below @root_fd, and nowhere else, whatever links lie on the way. */
int sys_open_beneath(int root_fd, const char *path);
int sys_open_dir(const char *path);
int sys_open_log(const char *path);
int sys_open_reserve(void);
int sys_fstat(int fd, struct stat *st);
int sys_shutdown(int fd, int how);
/* Bytes sent on a socket that the other side has not acknowledged yet. */
int sys_unsent(int fd);
int sys_local_port(int fd, uint16_t *ret_port);
int sys_signalfd(void);
int sys_raise_nofile(void);
int sys_count_threads(void);
/* As fdopendir(3), but @fd stays the caller's. */
DIR *sys_fdopendir(int fd);
/* Lets a listening socket finish the handshakes it has begun and begin no more. */
int sys_refuse_new_connections(int fd);

#endif /* HTTPD_H */
