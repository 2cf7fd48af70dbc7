#!/usr/bin/env bash
# ctest: timeout=180
# A second of tools/soak. If this fails, weft loses something under a mixed load, or leaves
# something behind. It tells what it counts, or an hour of it would be an hour of silence.
set -eu
said=$("$WEFT_SRC/tools/soak" 1) || { echo "$said"; exit 1; }
grep -qE '^ +[0-9]+ s +[1-9][0-9]* rounds: 1 goroutines, [0-9]+ descriptors' <<<"$said" ||
	{ echo "it does not tell: $said"; exit 1; }
