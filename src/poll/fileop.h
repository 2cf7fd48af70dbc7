/*
 * Operations on files by io_uring(7), for io/. Between wf_enter() and wf_leave(), by whoever is
 * counted in the descriptor's record.
 *
 * Each returns false if there is no ring, or it can't now: the caller makes the call itself. Else
 * *ret is the result: as the call's, or -ETIMEDOUT or -ECANCELED, and then nothing was done.
 */
#ifndef WEFT_POLL_FILEOP_H
#define WEFT_POLL_FILEOP_H

#include "base/compiler.h"
#include "os/os.h"

/* off -1: at the file's own position, which moves. */
WF_PARKS bool wf_ring_rw(int fd, bool is_write, const struct iovec *v, int n, off_t off,
    int64_t deadline, ssize_t *ret);
WF_PARKS bool wf_ring_fsync(int fd, bool data_only, int64_t deadline, ssize_t *ret);

#endif /* WEFT_POLL_FILEOP_H */
