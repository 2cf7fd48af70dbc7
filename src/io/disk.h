/*
 * Reading and writing what has no readiness to wait for: regular files and disks. By whoever is
 * counted in the record of fd.
 */
#ifndef WEFT_IO_DISK_H
#define WEFT_IO_DISK_H

#include "io/io.h"

/*
 * off -1: at the file's own position. Reads all that is asked for but at the end of the file.
 * Writes a piece, as writev(2). Bytes, or a negative errno if there are none.
 */
WF_PARKS ssize_t wf_io_disk_read(int fd, const struct iovec *v, int n, off_t off, int64_t deadline);
WF_PARKS ssize_t wf_io_disk_write(
    int fd, const struct iovec *v, int n, off_t off, int64_t deadline);

#endif /* WEFT_IO_DISK_H */
