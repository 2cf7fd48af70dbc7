#!/usr/bin/env bash
# Timers and descriptors: Go's own parser reads what they leave. (Not time_crowd: a million sleepers
# leave 100 MB, and keep the parser busy for minutes.)
# ctest: timeout=900
. "$WEFT_SRC/test/lib/trace_stress.sh"
feed time_race io_close io_deadline_race
traces_are_read 15
