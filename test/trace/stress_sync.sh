#!/usr/bin/env bash
# Locks and all that is waited for in their table: Go's own parser reads what they leave.
# ctest: timeout=900
. "$WEFT_SRC/test/lib/trace_stress.sh"
feed sync_mutex sync_rwmutex sync_cond sync_sem sync_waitgroup sync_flight
traces_are_read 50
