/*
 * Text to a descriptor, from anywhere: no malloc, no stdio, no lock, usable in a signal handler.
 */
#ifndef WEFT_DEBUG_OUT_H
#define WEFT_DEBUG_OUT_H

#include "base/compiler.h"

struct wf_out {			/* owned by one thread at a time */
	int fd;
	size_t n;		/* bytes in buf, not yet written */
	bool is_broken;		/* a write failed: what follows is dropped */
	int copy_fd;		/* gets all of it too; -1: none */
	int patience_ms;	/* so long a write waits for a reader; -1: as write(2), or 5 s */
	char buf[2048];
};

/* Writes all of it. 0; -ETIMEDOUT: nobody has read for five seconds; or another -errno. */
int wf_out_all(int fd, const void *data, size_t n);

void wf_out_init(struct wf_out *o, int fd);
void wf_out_flush(struct wf_out *o);

void wf_out_mem(struct wf_out *o, const char *s, size_t n);
void wf_out_str(struct wf_out *o, const char *s);
/* As Go quotes labels, which are text: nothing in them but quotes and backslashes is special. */
void wf_out_quoted(struct wf_out *o, const char *s);
void wf_out_u64(struct wf_out *o, uint64_t v);
void wf_out_i64(struct wf_out *o, int64_t v);
/* 0x... */
/* Nanoseconds as seconds, exactly. */
void wf_out_seconds(struct wf_out *o, uint64_t ns);
void wf_out_hex(struct wf_out *o, uint64_t v);
/* As str, with each line break followed by a tab, so that a text stays apart from what follows. */
void wf_out_indented(struct wf_out *o, const char *s);

#endif /* WEFT_DEBUG_OUT_H */
