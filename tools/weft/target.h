/*
 * Another process that uses weft, looked at from outside: it is not stopped, and does nothing for
 * it. What is read is a snapshot of things that change; each is checked where it matters.
 */
#ifndef WEFT_COMMAND_TARGET_H
#define WEFT_COMMAND_TARGET_H

#include <elfutils/libdwfl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <weft/debug.h>

struct command;

struct target {
	pid_t pid;
	Dwfl *dwfl;			/* its files, as they are mapped */
	bool is_attached;		/* dwfl knows how to walk */
	weft_debug_layout_table layout;
};

/* A goroutine, copied. */
struct goroutine {
	uint64_t at;			/* the record */
	uint64_t id, parent, wait;
	uint64_t sp, fp, pc;		/* where it was left; pc 0: it has not begun */
	uint64_t hi;			/* where its stack begins */
	uint64_t fn, created;
	int64_t since;
	unsigned status;
	bool is_locked, in_syscall;
	bool is_wrapped;		/* fn is called by a function of the runtime's */
	int64_t detached_at;		/* 0: it is not */
	int tid;			/* of the thread it runs on; 0: none */
	char reason[48];		/* or what it does instead of waiting */
	char name[32];
};

/* Ends the program with EXIT_USAGE if text is no process id, EXIT_CANNOT_ATTACH if it can't be
 * read, or does not use weft. */
void target_open(struct target *t, const struct command *self, const char *text);
void target_close(struct target *t);

bool target_read(const struct target *t, void *to, uint64_t from, size_t n);
/* The field of the record at base; 0 if that can't be read, or the library has no such field. */
uint64_t target_get(const struct target *t, uint64_t base, const char *field);
/* The field's place, or the value. 0: there is none. */
uint64_t target_offset(const struct target *t, const char *field);

/* All goroutines, by number; the caller frees them. */
struct goroutine *target_goroutines(const struct target *t, size_t *ret_n);
/* Copies it again. False: it has ended. */
bool target_renew(const struct target *t, struct goroutine *g);
/* Does it wait, or is queued, so that its stack stands still? */
bool target_is_parked(const struct target *t, const struct goroutine *g);

/*
 * The frames of a goroutine that is parked, innermost first, each an address inside of the call; at
 * most max. How many; 0: it can't be walked, or the goroutine went on meanwhile.
 */
size_t target_walk(struct target *t, const struct goroutine *g, uint64_t *pcs, size_t max);

#endif /* WEFT_COMMAND_TARGET_H */
