/*
 * The debug endpoint, between its parts: serve.c takes connections and refuses strangers, answer.c
 * answers those that may ask.
 */
#ifndef WEFT_DEBUG_SERVE_H
#define WEFT_DEBUG_SERVE_H

#include "debug/http_parse.h"
#include "debug/out.h"

/* Answers a request that may be answered. On a thread that runs no goroutine. */
void wf_answer(int fd, const struct wf_http_request *r);
/* An answer that is only a status and a sentence. */
void wf_answer_status(int fd, int status);

/* The scheduler's state as one line of JSON, without a line feed. */
void wf_snapshot_print(struct wf_out *o);

#endif /* WEFT_DEBUG_SERVE_H */
