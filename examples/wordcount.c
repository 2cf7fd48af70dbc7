/*
 * Counts lines, words and bytes of all files below a directory, as wc does, and the most frequent
 * words: a pipeline. Each stage knows only the channel before it and the one behind it.
 *
 *	a walker --paths--> readers --blocks--> counters --counts--> merge, which is main()
 *
 *	wordcount DIRECTORY [TOP]	TOP: how many words to list, default 10
 *
 * A stage that is done closes its channel, and so the end of the input runs through the pipeline.
 * A file that can't be read is reported, as by wc. SIGINT ends all stages: they are in one scope.
 */
#include <weft.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READERS 4
#define BLOCK (64 * 1024)
#define BUCKETS 4096

struct block {			/* a piece of one file that ends between two words */
	size_t size;
	char *text;
};

struct word {
	struct word *next;	/* in its bucket */
	long count;
	size_t size;
	char text[];		/* and a NUL, for printing */
};

struct counts {			/* of one counter; nobody else sees it until it is done */
	long lines, words, bytes;
	struct word *bucket[BUCKETS];
};

static weft_chan *paths, *blocks, *results;
static weft_waitgroup readers;
static _Atomic int failures;
static weft_chan *signals;

static void
report(const char *path, int error)
{
	fprintf(stderr, "wordcount: %s: %s\n", path, strerror(error));
	atomic_fetch_add(&failures, 1);
}

/* ---- The walker: all files below a directory. opendir() and lstat() may block; let them. ---- */

static char *
path_of(const char *directory, const char *name)
{
	size_t size = strlen(directory) + strlen(name) + 2;
	char *path = malloc(size);

	if (path != NULL)
		snprintf(path, size, "%s/%s", directory, name);
	return path;
}

static int
walk(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	int r = 0;

	if (d == NULL) {
		report(directory, errno);
		return 0;
	}
	while (r == 0 && (entry = readdir(d)) != NULL) {
		struct stat st;
		char *path;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		path = path_of(directory, entry->d_name);
		if (path == NULL) {
			r = -ENOMEM;
		} else if (lstat(path, &st) < 0) {
			report(path, errno);
		} else if (S_ISDIR(st.st_mode)) {
			r = walk(path);
		} else if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)) {
			/* The path goes to whoever receives it. Too many waiting: we wait. */
			r = weft_chan_send(paths, &path, WEFT_FOREVER);
			if (r == 0)
				continue;
		}
		free(path);
	}
	closedir(d);
	return r;
}

static int
run_walker(void *directory)
{
	int r = walk(directory);

	weft_chan_close(paths);
	return r;
}

/* ---- Readers: a file's text in blocks ---- */

/* Where the last word of the text begins that might go on: up to there it can be counted. */
static size_t
whole_words(const char *text, size_t size)
{
	while (size > 0 && !isspace((unsigned char)text[size - 1]))
		size--;
	return size;
}

/* Sends the first n bytes of a buffer of size, and returns a new one with the rest; NULL: over. */
static char *
send_block(char *buffer, size_t n, size_t size, size_t room, int *ret_error)
{
	struct block block = { n, buffer };
	char *rest = malloc(room);

	*ret_error = rest == NULL ? -ENOMEM : 0;
	if (rest != NULL) {
		memcpy(rest, buffer + n, size - n);
		*ret_error = weft_chan_send(blocks, &block, WEFT_FOREVER);
	}
	if (*ret_error == 0)
		return rest;
	free(rest);
	free(buffer);
	return NULL;
}

/* 0, or why the pipeline must end. */
static int
read_file(const char *path)
{
	size_t size = 0, room = BLOCK;
	char *buffer = malloc(room);
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe is polled by weft */
	int error = 0;
	ssize_t n = 0;

	if (fd < 0) {
		report(path, errno);
		free(buffer);
		return 0;
	}
	while (buffer != NULL) {
		size_t whole;

		n = weft_read(fd, buffer + size, room - size, WEFT_FOREVER);
		if (n <= 0)
			break;
		size += (size_t)n;
		whole = whole_words(buffer, size);
		if (size < room)
			continue;
		if (whole > 0) {
			buffer = send_block(buffer, whole, size, room, &error);
			size -= whole;
		} else {		/* one word, longer than the buffer */
			char *larger = realloc(buffer, room *= 2);

			if (larger == NULL)
				free(buffer);
			buffer = larger;
		}
	}
	weft_close(fd);
	if (n < 0 && n != -ECANCELED)
		report(path, (int)-n);
	if (buffer != NULL) {
		buffer = send_block(buffer, size, size, 1, &error);
		free(buffer);
	} else if (error == 0) {
		error = -ENOMEM;
	}
	return n == -ECANCELED ? -ECANCELED : error;
}

static int
run_reader(void *unused)
{
	char *path;
	int r = 0;

	(void)unused;
	while (r == 0 && weft_chan_recv(paths, &path, WEFT_FOREVER) == 1) {
		r = read_file(path);
		free(path);
	}
	weft_waitgroup_done(&readers);
	return r;
}

/* Several write to one channel: none of them may close it. */
static int
close_blocks(void *unused)
{
	int r = weft_waitgroup_wait(&readers, WEFT_FOREVER);

	(void)unused;
	weft_chan_close(blocks);
	return r;
}

/* ---- Counters ---- */

static int
count_word(struct counts *c, const char *text, size_t size, long times)
{
	unsigned hash = 2166136261u;
	struct word **w;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619u;
	for (w = &c->bucket[hash % BUCKETS]; *w != NULL; w = &(*w)->next)
		if ((*w)->size == size && memcmp((*w)->text, text, size) == 0)
			break;
	if (*w == NULL) {
		*w = calloc(1, sizeof(**w) + size + 1);
		if (*w == NULL)
			return -ENOMEM;
		(*w)->size = size;
		memcpy((*w)->text, text, size);
	}
	(*w)->count += times;
	return 0;
}

static int
count_block(struct counts *c, const struct block *b)
{
	int r = 0;

	c->bytes += (long)b->size;
	for (size_t i = 0; i < b->size && r == 0; i++) {
		size_t start = i;

		while (i < b->size && !isspace((unsigned char)b->text[i]))
			i++;
		if (i > start) {
			c->words++;
			r = count_word(c, b->text + start, i - start, 1);
		}
		c->lines += i < b->size && b->text[i] == '\n';
	}
	return r;
}

static int
run_counter(void *unused)
{
	struct counts *c = calloc(1, sizeof(*c));
	struct block block;
	int r = c == NULL ? -ENOMEM : 0;

	(void)unused;
	while (r == 0 && weft_chan_recv(blocks, &block, WEFT_FOREVER) == 1) {
		r = count_block(c, &block);
		free(block.text);
	}
	return r < 0 ? r : weft_chan_send(results, &c, WEFT_FOREVER);
}

/* ---- Merge ---- */

static int
merge(struct counts *into, struct counts *c)
{
	int r = 0;

	into->lines += c->lines;
	into->words += c->words;
	into->bytes += c->bytes;
	for (int i = 0; i < BUCKETS; i++) {
		for (struct word *w = c->bucket[i], *next; w != NULL; w = next) {
			next = w->next;
			if (count_word(into, w->text, w->size, w->count) < 0)
				r = -ENOMEM;
			free(w);
		}
	}
	free(c);
	return r;
}

/* The most frequent first; of equals the first in the alphabet. */
static int
by_count(const void *a, const void *b)
{
	const struct word *x = *(struct word *const *)a, *y = *(struct word *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

static int
print(const struct counts *c, long top)
{
	size_t n = 0;
	struct word **all = malloc(sizeof(struct word *) * (size_t)(c->words + 1));

	if (all == NULL)
		return -ENOMEM;
	for (int i = 0; i < BUCKETS; i++)
		for (struct word *w = c->bucket[i]; w != NULL; w = w->next)
			all[n++] = w;
	qsort(all, n, sizeof(all[0]), by_count);
	printf("%ld %ld %ld\n", c->lines, c->words, c->bytes);
	for (size_t i = 0; i < n && i < (size_t)top; i++)
		printf("%ld %s\n", all[i]->count, all[i]->text);
	free(all);
	return 0;
}

/* A plain call that blocks: marked, so that it does not even keep a processor for a moment. */
static void
watch_signals(void *pipeline)
{
	weft_chan_recv(signals, NULL, WEFT_FOREVER);
	weft_scope_cancel(pipeline, -EINTR);
}

int
main(int argc, char **argv)
{
	static struct counts total;
	long top = argc > 2 ? atol(argv[2]) : 10;
	int counters = weft_gomaxprocs(0), r = 0;
	weft_scope *pipeline;
	struct counts *c;

	if (argc < 2 || argc > 3 || top < 0) {
		fprintf(stderr, "usage: wordcount DIRECTORY [TOP]\n");
		return 64;
	}
	signals = weft_chan_new(sizeof(int), 1);
	if (signals == NULL || weft_signal_notify(signals, SIGINT) < 0)
		return 1;

	paths = weft_chan_new(sizeof(char *), 16);
	blocks = weft_chan_new(sizeof(struct block), 16);
	results = weft_chan_new(sizeof(struct counts *), 0);
	pipeline = weft_scope_new(NULL, WEFT_FOREVER);
	if (paths == NULL || blocks == NULL || results == NULL || pipeline == NULL)
		return 1;
	weft_go(watch_signals, pipeline);

	weft_waitgroup_add(&readers, READERS);
	r |= weft_scope_go(pipeline, run_walker, argv[1]);
	for (int i = 0; i < READERS; i++)
		r |= weft_scope_go(pipeline, run_reader, NULL);
	r |= weft_scope_go(pipeline, close_blocks, NULL);
	for (int i = 0; i < counters; i++)
		r |= weft_scope_go(pipeline, run_counter, NULL);

	/* One result from each counter, or the end of the pipeline, which the scope tells. */
	for (int i = 0; r == 0 && i < counters; i++) {
		weft_case cases[] = { WEFT_RECV(results, &c),
			WEFT_RECV(weft_scope_done(pipeline), NULL) };

		r = weft_select(cases, 2, WEFT_FOREVER) == 0 ? merge(&total, c) : -ECANCELED;
	}
	if (r == 0)
		r = print(&total, top);
	if (r < 0) {
		r = weft_scope_cause(pipeline);
		fprintf(stderr, "wordcount: %s\n", strerror(r < 0 ? -r : ENOMEM));
		return r == -EINTR ? 130 : 1;
	}
	return atomic_load(&failures) > 0;
}
