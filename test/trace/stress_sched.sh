#!/usr/bin/env bash
# Threads that are detached, locked, foreign, come and go; processors that do: Go's own parser reads
# what they leave.
# ctest: timeout=900
. "$WEFT_SRC/test/lib/trace_stress.sh"
feed sched_conserve sched_threads sched_procs sched_foreign sched_locked
traces_are_read 25
