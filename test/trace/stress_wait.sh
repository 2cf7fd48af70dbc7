#!/usr/bin/env bash
# Timers and descriptors: Go's own parser reads what they leave. (Traced, the million sleepers of
# time_crowd are 20,000: of all of them the parser would have 200 MB for minutes.)
# ctest: timeout=900
. "$WEFT_SRC/test/lib/trace_stress.sh"
feed time_race time_crowd io_close io_deadline_race
traces_are_read 16
