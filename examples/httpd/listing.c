/*
 * The page for a directory that has no index. Knows no sockets.
 *
 * A file name may hold any byte but '/' and NUL, so a name is never put into the
 * page as it is: in a link it is percent-encoded, in the text HTML-escaped.
 */
#include "httpd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* More would be no page one reads, and memory for who asks. */
#define ENTRIES_MAX 10000

struct entry {
	char *name;
	bool is_dir;
	int64_t size, mtime;
};

static void
add(struct text *t, const char *p, size_t n)
{
	if (t->failed)
		return;
	if (n > t->cap - t->n) {
		size_t cap = t->cap ? t->cap : 4096;
		char *bigger;

		while (n > cap - t->n)
			cap *= 2;
		bigger = realloc(t->p, cap);
		if (!bigger) {
			t->failed = true;
			return;
		}
		t->p = bigger;
		t->cap = cap;
	}
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void
add_str(struct text *t, const char *s)
{
	add(t, s, strlen(s));
}

static void
add_html(struct text *t, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<':
			add_str(t, "&lt;");
			break;
		case '>':
			add_str(t, "&gt;");
			break;
		case '&':
			add_str(t, "&amp;");
			break;
		case '"':
			add_str(t, "&quot;");
			break;
		case '\'':
			add_str(t, "&#39;");
			break;
		default:
			add(t, s, 1);
		}
	}
}

static void
add_link(struct text *t, const char *s)
{
	for (; *s; s++) {
		char buf[3];

		add(t, buf, percent_encode(buf, *s, "-._~"));
	}
}

/* Directories first, then by name. */
static int
compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->is_dir != y->is_dir)
		return x->is_dir ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void
add_entry(struct text *t, const struct entry *e)
{
	char date[HTTP_DATE_LEN], size[SIZE_TEXT];

	add_str(t, "<tr><td><a href=\"./");
	add_link(t, e->name);
	add_str(t, e->is_dir ? "/\">" : "\">");
	add_html(t, e->name);
	add_str(t, e->is_dir ? "/</a><td><td>" : "</a><td>");
	if (!e->is_dir) {
		format_size(size, (uint64_t)e->size);
		add_str(t, size);
		add_str(t, "<td>");
	}
	http_date_format(date, e->mtime);
	add(t, date + 5, 17);	/* "06 Nov 1994 08:49" */
	add_str(t, "\n");
}

/* Fills *ret with what the directory holds; returns how many, or a negative errno. */
static int
read_entries(DIR *dir, struct entry **ret, bool *ret_more)
{
	struct entry *list = NULL;
	size_t n = 0, cap = 0;
	struct dirent *d;

	while ((d = readdir(dir))) {
		struct entry e = { 0 };
		struct stat st;

		if (d->d_name[0] == '.')
			continue;
		if (n == ENTRIES_MAX) {
			*ret_more = true;
			break;
		}
		/* Links are followed here only to say what they are; sys_open_beneath() decides. */
		if (fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
			continue;
		if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
			continue;
		if (n == cap) {
			struct entry *bigger;

			cap = cap ? 2 * cap : 64;
			bigger = realloc(list, cap * sizeof(*list));
			if (!bigger)
				break;
			list = bigger;
		}
		e.name = strdup(d->d_name);
		if (!e.name)
			break;
		e.is_dir = S_ISDIR(st.st_mode);
		e.size = st.st_size;
		e.mtime = st.st_mtim.tv_sec;
		list[n++] = e;
	}
	if (d && !*ret_more) {
		for (size_t i = 0; i < n; i++)
			free(list[i].name);
		free(list);
		return -ENOMEM;
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), compare);
	*ret = list;
	return (int)n;
}

static const char style[] =
	"<style>:root{color-scheme:light dark}"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
	"h1{font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}"
	"table{border-collapse:collapse;width:100%}"
	"td{padding:.3rem .5rem;border-top:1px solid #8884;overflow-wrap:anywhere}"
	"td+td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums;opacity:.75}"
	"a{text-decoration:none}a:hover,a:focus{text-decoration:underline}</style>";

static void
add_page(struct text *t, const char *path, const struct entry *list, int n, bool more)
{
	add_str(t, "<!doctype html><html lang=en><meta charset=utf-8>"
		   "<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>");
	add_html(t, path);
	add_str(t, "</title>");
	add_str(t, style);
	add_str(t, "<h1>");
	add_html(t, path);
	add_str(t, "</h1>\n<table>\n");
	if (strcmp(path, "/") != 0)
		add_str(t, "<tr><td><a href=\"../\">../</a><td><td>\n");
	for (int i = 0; i < n; i++)
		add_entry(t, &list[i]);
	add_str(t, "</table>\n");
	if (n == 0)
		add_str(t, "<p>There is nothing here.</p>\n");
	if (more)
		add_str(t, "<p>And more, not shown.</p>\n");
	add_str(t, "</html>\n");
}

int
listing_make(const struct resource *res, struct text *ret)
{
	struct entry *list = NULL;
	bool more = false;
	DIR *dir;
	int n;

	/* One call to weft for all the calls to the file system below: none of them parks. */
	weft_syscall_enter();
	dir = sys_fdopendir(res->fd);
	n = dir ? read_entries(dir, &list, &more) : -EMFILE;
	if (dir)
		closedir(dir);
	weft_syscall_exit();
	if (n < 0)
		return n;

	*ret = (struct text){ 0 };
	add_page(ret, res->path, list, n, more);
	for (int i = 0; i < n; i++)
		free(list[i].name);
	free(list);
	if (ret->failed) {
		free(ret->p);
		return -ENOMEM;
	}
	return 0;
}
