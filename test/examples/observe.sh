#!/usr/bin/env bash
# docs/observe.md says what a slow server shows: see observe.py. If it fails, readers look for what
# is not there any more.
# ctest: timeout=300
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -B "$WEFT_SRC/test/examples/observe.py" "$@"
