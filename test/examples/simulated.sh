#!/usr/bin/env bash
# examples/simulated: an hour's wait, a thousand times. What the guide shows first of the simulator.
set -eu
program=${WEFT_BUILD:?}/examples/simulated
[ -x "$program" ] || exit 77
[ "$(timeout 100 "$program")" = ok ]
[ "$(timeout 60 "$program" 7)" = ok ]
