#!/usr/bin/env bash
# Channels, select and scopes where many threads meet: Go's own parser reads what they leave.
# ctest: timeout=900
. "$WEFT_SRC/test/lib/trace_stress.sh"
feed chan_race chan_storm select_race scope_race scope_crowd
traces_are_read 25
