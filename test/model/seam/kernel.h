/*
 * A descriptor, and an epoll(7) instance that may have it, as the kernel has them: the backend of
 * the real src/poll. What the kernel does to one of them is one atomic instruction, and the system
 * call that finds nothing orders nothing.
 */
#ifndef WEFT_MODEL_SEAM_KERNEL_H
#define WEFT_MODEL_SEAM_KERNEL_H

#include <stdbool.h>

#define KERNEL_FD 3
#define KERNEL_THREADS 8

/* Puts everything back: the descriptor is open, empty, unknown to epoll. */
void kernel_reset(void);

/* A message comes; or the stream ends. */
void kernel_send(void);
void kernel_end(void);
/* Takes a message. 1; 0: the stream has ended; -EAGAIN, -EBADF. Was it the last one there is? */
int kernel_receive(bool *ret_is_short);
/* Waits until the number was given back, and is given it, for a new descriptor. */
void kernel_open(void);
bool kernel_is_closed(void);

#endif /* WEFT_MODEL_SEAM_KERNEL_H */
