#!/usr/bin/env bash
# What --weaken says of a scenario whose orders are known: what is needed is found, what is not must
# be listed, and what is listed must not be found.
set -euo pipefail
program=$WEFT_BUILD/test/model/model_races
list=$(mktemp)
trap 'rm -f "$list"' EXIT
bad=0
at='test/model/scenario/races.c weak_spot'
needed="${at}_gives store(&x)#1 release -> relaxed"
spare="${at}_gives store(&y)#1 release -> relaxed"

# check LINE: what is said has this line.
check()
{
	grep -qFx -- "$1" <<<"$said" || { printf 'not said: %s\n%s\n' "$1" "$said"; bad=1; }
}

said=$("$program" --weaken "$list") && { echo "nothing is missed in an empty list"; bad=1; }
check "found    $needed: by weak_spots"
check "found    ${at}_takes load(&x)#1 acquire -> relaxed: by weak_spots"
check "SURVIVED $spare"
check "SURVIVED ${at}_takes load(&y)#1 acquire -> relaxed"
check "4 mutants, 2 not as they should be"

for name in "$spare" "${at}_takes load(&y)#1 acquire -> relaxed"; do
	echo "$name: y is taken for nothing."
done >"$list"
said=$("$program" --weaken "$list") || { echo "what is listed is not good"; bad=1; }
check "listed   $spare"
check "4 mutants, 0 not as they should be"

printf '%s: but it is not.\n' "$needed" >>"$list"
said=$("$program" --weaken "$list") && { echo "what is listed and found is good"; bad=1; }
check "found    $needed: by weak_spots, but listed as redundant"
exit $bad
