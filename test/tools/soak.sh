#!/usr/bin/env bash
# ctest: timeout=300
# A second of tools/soak. If this fails, weft loses something under a mixed load, or leaves
# something behind. It tells what it counts, or an hour of it would be an hour of silence. And
# whatever it looks for is found when it is there: else an hour of it would prove nothing.
set -eu
failed=0
said=$("$WEFT_SRC/tools/soak" 1) || { echo "$said"; exit 1; }
grep -qE '^ +[0-9]+ s +[1-9][0-9]* rounds: 1 goroutines, [0-9]+ descriptors' <<<"$said" ||
	{ echo "it does not tell: $said"; exit 1; }

# A wrong run that ends by saying so, and not of anything else.
finds() { # PLANT EXPRESSION
	local said
	if said=$(WEFT_SOAK_PLANT=$1 "$WEFT_SRC/tools/soak" 0 2>&1) ||
	    ! grep -qE "$2" <<<"$said"; then
		echo "planted and not found: $1"
		tail -20 <<<"$said"
		failed=1
	fi
}
finds 'a job done twice' 'seen\[job\]'
finds 'a timer that is lost' '\(&fired\) \+ atomic_load\(&stopped\)'
finds memory 'from [0-9]+ to [0-9]+ KiB'
finds mappings 'from [0-9]+ to [0-9]+ mappings'
export WEFT_SOAK_LOOKS=20
finds 'an idle processor' 'work waits beside an idle processor since [0-9]+ looks'
WEFT_SOAK_LOOKS=1500
finds 'a late timer' 'a timer fires [0-9]+ looks late'
finds 'a goroutine' 'a round leaves [2-9] goroutines'
finds 'a descriptor' 'a round leaves 1 goroutines and [0-9]+ descriptors'
exit $failed
