/*
 * Which of the ways not to wait a descriptor knows.
 *
 *   sockets               MSG_DONTWAIT, whatever O_NONBLOCK says
 *   pipes, eventfds, ...  preadv2(2) with RWF_NOWAIT, likewise
 *   terminals, inotify    neither: as it is if O_NONBLOCK, else poll(2) first and then a call that
 *                         blocks if somebody else was quicker
 *   regular files, disks  always ready, and then the disk takes its time: disk.c
 *
 * O_NONBLOCK itself is never changed: it belongs to the open file, which other processes may
 * share. (A shell that finds its terminal non-blocking is a classic.)
 */
#include "io/how.h"

#include "os/os.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int
wf_io_how(struct pd *pd, enum pd_use dir)
{
	int how = wf_load_relaxed(&pd->how[dir]);	/* a cache: no order */
	int type, nodelay;

	if (wf_likely(how != PD_HOW_UNKNOWN && how != PD_HOW_FILE))
		return how;
	/* A file is looked at each time: no error would tell that the number means a socket now. */
	type = wf_os_file_type(pd_number(pd));
	if (type < 0)
		return type;
	if (type == WF_OS_FILE_DISK)
		how = PD_HOW_FILE;
	else if (type != WF_OS_FILE_SOCKET)
		how = PD_HOW_NOWAIT;
	else
		how = wf_os_getsockopt_int(pd_number(pd), IPPROTO_TCP, TCP_NODELAY, &nodelay) == 0
		    ? PD_HOW_TCP : PD_HOW_SOCKET;
	wf_store_relaxed(&pd->how[dir], (uint8_t)how);
	return how;
}

void
wf_io_how_was_wrong(struct pd *pd, enum pd_use dir, enum pd_how guess)
{
	wf_store_relaxed(&pd->how[dir], guess == PD_HOW_NOWAIT ? PD_HOW_POLL : PD_HOW_UNKNOWN);
}
