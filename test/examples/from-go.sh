#!/usr/bin/env bash
# The programs that docs/from-go.md shows side by side print what the page says, the weft halves
# and, where there is a Go, the Go halves too: else the page teaches what is not so.
# ctest: timeout=600
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 "$WEFT_SRC/test/examples/from_go.py" "$WEFT_BUILD" "$work"
