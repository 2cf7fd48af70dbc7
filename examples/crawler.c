/*
 * Follows the links between local HTML and Markdown files, from the files named, and lists those
 * that lead nowhere: a goroutine for each file found, each file once, and so many open at a time.
 *
 *	crawler [-j OPEN] FILE...	prints "PAGE: TARGET: why" for each broken link, and counts
 *
 * Status 0: all links lead somewhere; 1: some do not; 130: SIGINT ended it before its time.
 */
#include <weft.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 1024
#define PAGE_MAX (16 * 1024 * 1024)

struct page {
	struct page *next;	/* in its bucket */
	int result;		/* 0, or why it can't be read; its goroutine's until the end */
	char path[];
};

struct link {
	struct link *next;
	struct page *from, *to;
	char target[];		/* as it stands in the page */
};

static weft_mutex m;
static struct page *pages[BUCKETS];	/* under m */
static struct link *links;		/* under m */
static long n_links;			/* under m */
static weft_sem may_open;
static weft_scope *crawl;
static weft_chan *signals;

static int visit(void *arg);

/* ---- Paths ---- */

static bool
ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcasecmp(s + n - k, end) == 0;
}

/* In place: "a/./b/../c" becomes "a/c"; not for an empty path. */
static void
normalize(char *path)
{
	char *const start = path + (*path == '/');
	char *out = start;

	for (char *part = start, *next; part != NULL; part = next) {
		size_t n = strcspn(part, "/");

		next = part[n] == '/' ? part + n + 1 : NULL;
		if (n == 0 || (n == 1 && part[0] == '.'))
			continue;
		if (n == 2 && part[0] == '.' && part[1] == '.' && out > start &&
		    !(out - start >= 3 && memcmp(out - 3, "../", 3) == 0)) {
			for (out--; out > start && out[-1] != '/';)
				out--;
			continue;
		}
		memmove(out, part, n);
		out += n;
		*out++ = '/';
	}
	if (out > start)
		out--;
	else if (start == path)
		*out++ = '.';
	*out = '\0';
}

/*
 * The file that a target means, seen from a page: relative, %20 is a space, what follows # or ?
 * is no part of it. NULL: not a file of ours (another host, or a place in the same page).
 */
static char *
resolve(const char *page, const char *target, size_t size)
{
	const char *slash = strrchr(page, '/');
	size_t dir = slash == NULL || *target == '/' ? 0 : (size_t)(slash - page) + 1;
	char *path = malloc(dir + size + 1), *out;

	if (path == NULL || (size >= 2 && memcmp(target, "//", 2) == 0)) {
		free(path);
		return NULL;
	}
	memcpy(path, page, dir);
	out = path + dir;
	for (size_t i = 0; i < size && target[i] != '#' && target[i] != '?'; i++) {
		char hex[3] = { 0 };

		if (target[i] == ':' && memchr(target, '/', i) == NULL) {
			out = path + dir;	/* http: or mailto: */
			break;
		}
		if (target[i] == '%' && i + 2 < size && isxdigit((unsigned char)target[i + 1]) &&
		    isxdigit((unsigned char)target[i + 2])) {
			memcpy(hex, target + i + 1, 2);
			*out++ = (char)strtol(hex, NULL, 16);
			i += 2;
		} else {
			*out++ = target[i];
		}
	}
	*out = '\0';
	if (out == path + dir) {
		free(path);
		return NULL;
	}
	normalize(path);
	return path;
}

/* ---- What has been found ---- */

/* The page of that path; whoever names it first has it visited. */
static struct page *
page_of(const char *path)
{
	unsigned hash = 5381;
	struct page **p;

	for (const char *s = path; *s != '\0'; s++)
		hash = hash * 33 + (unsigned char)*s;
	weft_mutex_lock(&m);
	for (p = &pages[hash % BUCKETS]; *p != NULL && strcmp((*p)->path, path) != 0;)
		p = &(*p)->next;
	if (*p == NULL) {
		*p = calloc(1, sizeof(**p) + strlen(path) + 1);
		if (*p != NULL) {
			int r;

			strcpy((*p)->path, path);
			r = weft_scope_go(crawl, visit, *p);
			if (r < 0)
				(*p)->result = r;
		}
	}
	weft_mutex_unlock(&m);
	return *p;
}

static void
found_link(struct page *from, const char *target, size_t size)
{
	char *path = resolve(from->path, target, size);
	struct page *to = path != NULL ? page_of(path) : NULL;
	struct link *l = to != NULL ? malloc(sizeof(*l) + size + 1) : NULL;

	free(path);
	if (l == NULL)
		return;
	l->from = from;
	l->to = to;
	memcpy(l->target, target, size);
	l->target[size] = '\0';
	weft_mutex_lock(&m);
	l->next = links;
	links = l;
	n_links++;
	weft_mutex_unlock(&m);
}

/* ---- Pages ---- */

static bool
follows(const char *text, const char *at, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(at - text) >= n && strncasecmp(at - n, name, n) == 0;
}

/* [text](target) and [text](target "title"); <a href="target"> and <img src='target'>. */
static void
find_links(struct page *page, const char *text, bool is_html)
{
	const char *at = text;

	while ((at = strpbrk(at, is_html ? "=" : "]")) != NULL) {
		const char *end = is_html ? (at[1] == '"' ? "\"" : "'") : ") \n";
		size_t n;

		at++;
		if (*at != (is_html ? *end : '(') ||
		    (is_html && !follows(text, at - 1, "href") && !follows(text, at - 1, "src")))
			continue;
		n = strcspn(++at, end);
		if (at[n] != '\0')
			found_link(page, at, n);
		at += n;
	}
}

/* The text of a file, in *ret; 0 and NULL for a directory, which is there but is not read. */
static int
read_page(const char *path, char **ret)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t size = 0, room = 0;
	struct stat st;
	ssize_t n = 1;

	*ret = NULL;
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		n = 0;
	while (n > 0) {
		if (size + 1 >= room) {
			char *larger = NULL;

			if (size < PAGE_MAX)
				larger = realloc(*ret, room = room * 2 + 8192);
			if (larger == NULL) {
				n = -EFBIG;
				break;
			}
			*ret = larger;
		}
		n = weft_read(fd, *ret + size, room - size - 1, WEFT_FOREVER);
		size += n > 0 ? (size_t)n : 0;
	}
	weft_close(fd);
	if (*ret != NULL)
		(*ret)[size] = '\0';
	return (int)n;
}

/* A goroutine of the crawl. A failure is the page's, not the crawl's: it returns 0 all the same. */
static int
visit(void *arg)
{
	struct page *p = arg;
	bool is_html = ends_with(p->path, ".html") || ends_with(p->path, ".htm");
	char *text = NULL;

	/* However many goroutines there are: so many files are open, and so much text in memory. */
	p->result = weft_sem_acquire(&may_open, 1, WEFT_FOREVER);
	if (p->result < 0)
		return 0;
	if (is_html || ends_with(p->path, ".md"))
		p->result = read_page(p->path, &text);
	else if (access(p->path, F_OK) < 0)
		p->result = -errno;
	if (p->result == 0 && text != NULL)
		find_links(p, text, is_html);
	free(text);
	weft_sem_release(&may_open, 1);
	return 0;
}

/* ---- The report ---- */

static int
by_page_and_target(const void *a, const void *b)
{
	const struct link *x = *(struct link *const *)a, *y = *(struct link *const *)b;
	int r = strcmp(x->from->path, y->from->path);

	return r != 0 ? r : strcmp(x->target, y->target);
}

/* All goroutines have ended: what they left needs no lock any more. Returns how many are broken. */
static long
report(void)
{
	struct link **broken = malloc(sizeof(struct link *) * (size_t)(n_links + 1));
	long n = 0, files = 0;

	if (broken == NULL)
		return -1;
	for (struct link *l = links; l != NULL; l = l->next)
		if (l->to->result < 0 && l->to->result != -ECANCELED)
			broken[n++] = l;
	qsort(broken, (size_t)n, sizeof(broken[0]), by_page_and_target);
	for (long i = 0; i < n; i++)
		printf("%s: %s: %s\n", broken[i]->from->path, broken[i]->target,
		    strerror(-broken[i]->to->result));
	for (int i = 0; i < BUCKETS; i++)
		for (struct page *p = pages[i]; p != NULL; p = p->next)
			files += p->result == 0;
	printf("%ld files, %ld links, %ld broken\n", files, n_links, n);
	free(broken);
	return n;
}

static void
watch_signals(void *unused)
{
	(void)unused;
	weft_chan_recv(signals, NULL, WEFT_FOREVER);
	weft_scope_cancel(crawl, -EINTR);
}

int
main(int argc, char **argv)
{
	long may_be_open = 16, failed = 0;
	int first = 1;

	if (argc > 1 && strcmp(argv[1], "-j") == 0) {
		may_be_open = argc > 2 ? atol(argv[2]) : 0;
		first = 3;
	}
	if (first >= argc || may_be_open < 1 ) {
		fprintf(stderr, "usage: crawler [-j OPEN] FILE...\n");
		return 64;
	}
	signals = weft_chan_new(sizeof(int), 1);
	if (signals == NULL || weft_signal_notify(signals, SIGINT) < 0)
		return 1;
	crawl = weft_scope_new(NULL, WEFT_FOREVER);
	if (crawl == NULL)
		return 1;
	weft_sem_init(&may_open, may_be_open);
	weft_go(watch_signals, NULL);

	for (int i = first; i < argc; i++) {
		if (*argv[i] != '\0')
			normalize(argv[i]);
		page_of(argv[i]);
	}
	/* A goroutine that finds a file starts its goroutine before it ends: 0 means all. */
	weft_scope_wait(crawl, WEFT_FOREVER);
	for (int i = first; i < argc; i++) {
		struct page *p = page_of(argv[i]);

		if (p != NULL && p->result < 0 && p->result != -ECANCELED) {
			fprintf(stderr, "crawler: %s: %s\n", p->path, strerror(-p->result));
			failed++;
		}
	}
	failed += report();
	if (weft_scope_err(crawl) != 0)
		return 130;
	return failed > 0;
}
