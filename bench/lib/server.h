/*
 * For cases that measure a server on one CPU: the listening socket, and the program of load/ that
 * loads it from another CPU.
 */
#ifndef WEFT_BENCH_SERVER_H
#define WEFT_BENCH_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Listens on a free port of 127.0.0.1, starts the load of that kind ("echo", "http"), then calls
 * start(listener), which starts the server and returns its process, 0 if that is this one. When
 * the load has ended, its figures are reported, and the CPU time of the server meanwhile. A
 * process that was started is ended; its CPU time includes its start.
 */
void bench_serve(const char *kind, long connections, pid_t (*start)(int listener));
/* The port of a listener. */
int bench_port(int listener);

/* For start(): runs server(listener) in a thread of its own. */
void bench_serve_in_thread(void (*server)(int listener), int listener);

/*
 * The least that a server can do: accepts, waits by epoll, and has answer(fd) read once and answer
 * what came. It closes fd when that returns false. Never returns.
 */
void bench_serve_by_epoll(int listener, bool (*answer)(int fd));

#ifdef __cplusplus
}
#endif

#endif /* WEFT_BENCH_SERVER_H */
