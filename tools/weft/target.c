/*
 * Reading the runtime of another process. See target.h; what the names mean: include/weft/debug.h.
 */
#include "target.h"

#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define LAYOUT_VERSION 1
#define LAYOUT_MAGIC "weftdbg"
#define RECORD_MAX 65536u	/* bytes of a goroutine's record, and goroutines in a chunk */

static char *no_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
	.debuginfo_path = &no_path,
};

/* ---- memory ---- */

bool
target_read(const struct target *t, void *to, uint64_t from, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)(uintptr_t)from, n};

	return process_vm_readv(t->pid, &local, 1, &remote, 1, 0) == (ssize_t)n;
}

static const weft_debug_field *
find_field(const struct target *t, const char *name)
{
	const weft_debug_field *f = t->layout.fields;
	size_t n = sizeof(t->layout.fields) / sizeof(*f);

	for (size_t i = 0; i < n && f[i].name[0] != '\0'; i++)
		if (strncmp(f[i].name, name, sizeof(f[i].name)) == 0)
			return &f[i];
	return NULL;
}

uint64_t
target_offset(const struct target *t, const char *field)
{
	const weft_debug_field *f = find_field(t, field);

	return f != NULL ? f->offset : 0;
}

/* A number of the field's size. Both processors are little-endian. */
static uint64_t
field_of(const struct target *t, const unsigned char *record, const char *field)
{
	const weft_debug_field *f = find_field(t, field);
	uint64_t v = 0;

	if (f != NULL && f->size <= sizeof(v))
		memcpy(&v, record + f->offset, f->size);
	return v;
}

uint64_t
target_get(const struct target *t, uint64_t base, const char *field)
{
	const weft_debug_field *f = find_field(t, field);
	uint64_t v = 0;

	if (f == NULL || f->size > sizeof(v) || !target_read(t, &v, base + f->offset, f->size))
		return 0;
	return v;
}

static void
read_text(const struct target *t, uint64_t at, char *ret, size_t cap)
{
	ret[0] = '\0';
	for (size_t i = 0; at != 0 && i + 1 < cap; i++) {
		if (!target_read(t, &ret[i], at + i, 1) || ret[i] == '\0')
			break;
		if ((unsigned char)ret[i] < ' ' || ret[i] == '"' || ret[i] == 0x7f)
			ret[i] = '?';
		ret[i + 1] = '\0';
	}
}

/* ---- opening ---- */

struct search {
	const struct target *t;
	GElf_Addr found;
};

/*
 * Is the table at `at` one in use? A tracer of the process maps the library's file as a whole, too:
 * what is there may look like the table, but its pointers lead nowhere.
 */
static bool
is_table(const struct target *t, GElf_Addr at)
{
	weft_debug_layout_table head;
	char byte;

	return target_read(t, &head, at, offsetof(weft_debug_layout_table, fields)) &&
	    memcmp(head.magic, LAYOUT_MAGIC, sizeof(LAYOUT_MAGIC)) == 0 &&
	    target_read(t, &byte, (uintptr_t)head.sched, sizeof(byte));
}

static int
search_module(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr start, void *arg)
{
	int n = dwfl_module_getsymtab(module);
	struct search *s = arg;
	GElf_Addr at;
	GElf_Sym sym;

	(void)user;
	(void)name;
	(void)start;
	for (int i = 1; i < n; i++) {
		const char *symbol =
			dwfl_module_getsym_info(module, i, &sym, &at, NULL, NULL, NULL);

		if (symbol == NULL || strncmp(symbol, "weft_debug_layout", 17) != 0 ||
		    (symbol[17] != '\0' && symbol[17] != '@') || sym.st_shndx == SHN_UNDEF)
			continue;
		if (s->found == 0)
			s->found = at;	/* to say why it is no good, if there is no other */
		if (is_table(s->t, at)) {
			s->found = at;
			return DWARF_CB_ABORT;
		}
	}
	return DWARF_CB_OK;
}

static __attribute__((noreturn, format(printf, 3, 4))) void
cannot(const struct command *self, pid_t pid, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "weft %s: %d: ", self->name, (int)pid);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_CANNOT_ATTACH);
}

/* Whoever looks at a process believes it nothing: its memory may be broken, or made to mislead. */
static bool
is_sane(const struct target *t)
{
	const weft_debug_field *f = t->layout.fields;
	uint64_t size = target_offset(t, "g"), count = target_offset(t, "chunk.n");

	if (size == 0 || size > RECORD_MAX || count > RECORD_MAX)
		return false;
	for (size_t i = 0; i < sizeof(t->layout.fields) / sizeof(*f); i++)
		if (strncmp(f[i].name, "g.", 2) == 0 && (f[i].size > size ||
		    f[i].offset > size - f[i].size))
			return false;
	return true;
}

void
target_open(struct target *t, const struct command *self, const char *text)
{
	struct search s = {.t = t};
	char *end;
	long pid = strtol(text, &end, 10);
	size_t least = offsetof(weft_debug_layout_table, fields);

	if (pid <= 0 || pid > 1 << 30 || *end != '\0' || *text < '0' || *text > '9')
		usage_error(self, "not a process id: %s", text);
	memset(t, 0, sizeof(*t));
	t->pid = (pid_t)pid;
	t->dwfl = dwfl_begin(&callbacks);
	errno = 0;
	if (t->dwfl == NULL || dwfl_linux_proc_report(t->dwfl, t->pid) != 0)
		cannot(self, t->pid, "%s", errno == ENOENT ? "no such process" : strerror(errno));
	dwfl_report_end(t->dwfl, NULL, NULL);
	(void)dwfl_getmodules(t->dwfl, search_module, &s, 0);
	if (s.found == 0)
		cannot(self, t->pid, "does not use weft, or is stripped of all symbols");
	if (!target_read(t, &t->layout, s.found, least)) {
		if (errno == EPERM)
			cannot(self, t->pid, "may not be read: be its user, or root; "
			    "see kernel.yama.ptrace_scope in 'weft doctor'");
		cannot(self, t->pid, "can't be read: %s", strerror(errno));
	}
	if (strcmp(t->layout.magic, LAYOUT_MAGIC) != 0 || t->layout.version != LAYOUT_VERSION ||
	    t->layout.size < least)
		cannot(self, t->pid, "uses a weft that this command does not know");
	if (t->layout.size > sizeof(t->layout))
		t->layout.size = sizeof(t->layout);
	if (!target_read(t, &t->layout, s.found, t->layout.size))
		cannot(self, t->pid, "can't be read: %s", strerror(errno));
	if (!is_sane(t))
		cannot(self, t->pid, "what it says of itself makes no sense");
}

void
target_close(struct target *t)
{
	dwfl_end(t->dwfl);
}

/* ---- goroutines ---- */

struct list {
	struct goroutine *g;
	size_t n, cap;
};

/* What it does, in the words of a dump. */
static void
read_reason(const struct target *t, struct goroutine *g, uint64_t number)
{
	uint64_t name = 0;

	if (g->status == target_offset(t, "status.WAITING") && number < t->layout.n_reasons)
		(void)target_read(
		    t, &name, (uintptr_t)t->layout.reasons + 8 * number, sizeof(name));
	read_text(t, name, g->reason, sizeof(g->reason));
	if (g->reason[0] != '\0')
		return;
	if (g->status == target_offset(t, "status.RUNNABLE"))
		strcpy(g->reason, "runnable");
	else if (g->status == target_offset(t, "status.WAITING"))
		strcpy(g->reason, "waiting");
	else
		strcpy(g->reason, g->in_syscall ? "syscall" : "running");
}

/* The thread that g runs on. */
static void
read_thread(const struct target *t, struct goroutine *g, uint64_t m)
{
	g->tid = (int)target_get(t, m, "m.tid");
	g->in_syscall = target_get(t, m, "m.in_syscall") != 0;
	if (target_get(t, m, "m.detached") != 0)
		g->detached_at = (int64_t)target_get(t, m, "m.detached_at");
}

static void
list_put(struct list *l, const struct goroutine *g)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 256 : 2 * l->cap;
		l->g = realloc(l->g, l->cap * sizeof(*l->g));
		if (l->g == NULL) {
			fputs("weft: out of memory\n", stderr);
			exit(EXIT_FINDING);
		}
	}
	l->g[l->n++] = *g;
}

/* The function that users know it by. */
static void
read_function(const struct target *t, struct goroutine *g, const unsigned char *record)
{
	uint64_t fn;

	g->fn = field_of(t, record, "g.fn");
	g->is_wrapped = (field_of(t, record, "g.flags") & target_offset(t, "flag.WRAPPED")) != 0;
	if (g->is_wrapped && target_read(t, &fn, field_of(t, record, "g.arg"), sizeof(fn)))
		g->fn = fn;
}

/* What the copy of a record says. False: there is no goroutine in it. */
static bool
parse(const struct target *t, uint64_t at, const unsigned char *record, struct goroutine *g)
{
	uint64_t m = field_of(t, record, "g.m");

	*g = (struct goroutine){.at = at};
	g->id = field_of(t, record, "g.id");
	g->status = (unsigned)field_of(t, record, "g.status");
	if (g->id == 0 || g->status == target_offset(t, "status.DEAD"))
		return false;
	g->parent = field_of(t, record, "g.parent");
	g->wait = field_of(t, record, "g.wait");
	g->sp = field_of(t, record, "g.sp");
	g->fp = field_of(t, record, "g.fp");
	g->pc = field_of(t, record, "g.pc");
	g->hi = field_of(t, record, "g.hi");
	read_function(t, g, record);
	g->created = field_of(t, record, "g.created");
	g->since = (int64_t)field_of(t, record, "g.since");
	g->is_locked = field_of(t, record, "g.locked") != 0;
	if (g->status == target_offset(t, "status.RUNNING") && m != 0)
		read_thread(t, g, m);
	read_reason(t, g, field_of(t, record, "g.reason"));
	read_text(t, field_of(t, record, "g.name"), g->name, sizeof(g->name));
	return true;
}

static void
add(const struct target *t, struct list *l, uint64_t at, const unsigned char *record)
{
	struct goroutine g;

	if (parse(t, at, record, &g))
		list_put(l, &g);
}

bool
target_renew(const struct target *t, struct goroutine *g)
{
	unsigned char record[RECORD_MAX];
	struct goroutine now;

	if (!target_read(t, record, g->at, target_offset(t, "g")) ||
	    !parse(t, g->at, record, &now) || now.id != g->id)
		return false;
	*g = now;
	return true;
}

/*
 * The next link of a list, or 0 when it ends, or has come round (Brent: one link is remembered, and
 * a later one each time that as many as before have passed).
 */
struct links {
	uint64_t seen;
	size_t n, until;
};

static uint64_t
follow(const struct target *t, struct links *l, uint64_t at, const char *field)
{
	uint64_t next = target_get(t, at, field);

	if (l->n++ == l->until) {
		l->seen = at;
		l->until = 2 * l->until + 1;
		l->n = 0;
	}
	return next == l->seen ? 0 : next;
}

static int
by_id(const void *a, const void *b)
{
	const struct goroutine *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

struct goroutine *
target_goroutines(const struct target *t, size_t *ret_n)
{
	size_t size = target_offset(t, "g"), count = target_offset(t, "chunk.n");
	unsigned char *slab = malloc(size * (count != 0 ? count : 1));
	uint64_t sched = (uintptr_t)t->layout.sched, chunk = 0, m;
	struct links ms = {0}, chunks = {0};
	struct list l = {0};

	if (slab == NULL) {
		fputs("weft: out of memory\n", stderr);
		exit(EXIT_FINDING);
	}
	for (m = target_get(t, sched, "sched.m"); m != 0; m = follow(t, &ms, m, "m.next"))
		if (target_read(t, slab, m + target_offset(t, "m.bound"), size))
			add(t, &l, m + target_offset(t, "m.bound"), slab);
	(void)target_read(t, &chunk, (uintptr_t)t->layout.chunks, sizeof(chunk));
	for (; chunk != 0; chunk = follow(t, &chunks, chunk, "chunk.next")) {
		uint64_t first = target_get(t, chunk, "chunk.g");

		if (!target_read(t, slab, first, count * size))
			continue;
		for (size_t i = 0; i < count; i++)
			add(t, &l, first + i * size, slab + i * size);
	}
	free(slab);
	qsort(l.g, l.n, sizeof(*l.g), by_id);
	*ret_n = l.n;
	return l.g;
}

bool
target_is_parked(const struct target *t, const struct goroutine *g)
{
	return (g->status == target_offset(t, "status.WAITING") ||
	    g->status == target_offset(t, "status.RUNNABLE")) && g->pc > 1;
}
