#!/usr/bin/env bash
# go tool pprof reads each profile, and finds in it what the program does. If it fails, what is
# written is no profile, or charges the wrong function.
# ctest: timeout=120
set -eu
go=$("$WEFT_SRC/tools/find-go")
[ -n "$go" ] || { echo "no Go 1.23 or newer here; tools/setup ci installs one"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GOTELEMETRY=off GOFLAGS= PPROF_TMPDIR=$work
failed=0
"$WEFT_BUILD/test/trace/profiles" "$work"

# has PROFILE PATTERN [OPTION...]: a line of what pprof says is like the pattern.
has()
{
	local profile=$1 pattern=$2
	shift 2
	if ! "$go" tool pprof -symbolize=none -top "$@" "$profile" >said 2>errors; then
		echo "$profile: pprof refuses it:"
		cat errors
		failed=1
	elif ! grep -q -e "$pattern" said; then
		echo "$profile: pprof finds no: $pattern; but:"
		cat said
		failed=1
	fi
}

# flat flat% sum% cum cum% name
has goroutine '^Type: goroutine'
has goroutine '^ *0 .* 7 .* parked_in_channel$'
has goroutine '^ *7 .* weft_chan_recv$'
has goroutine '^ *0 .* 2 .* parked_in_channel$' '-tagfocus=goroutine=one of two'
has leak '^ *0 .* 7 .* parked_in_channel$' -sample_index=goroutine
has leak '[0-9][mun]*s .* parked_in_channel$' -sample_index=delay
has block '^ *0 .* 1 .* waits_for_slow_channel$' -sample_index=contentions
has block '[0-9][mun]*s .* weft_chan_recv$' -sample_index=delay
has mutex '^ *0 .* 1 .* waits_for_mutex$' -sample_index=contentions
has mutex '[0-9][mun]*s .* weft_mutex_lock$' -sample_index=delay
has cpu '^Type: cpu'
has cpu '[0-9][mun]*s .* computes_and_computes$'
has cpu '[0-9][mun]*s .* computes_and_computes$' -tagfocus=goroutine=hog
has cpu '[0-9][mun]*s .* computes_and_computes$' '-tagfocus=request=page 17'
has goroutine '^ *0 .* 3 .* parked_in_channel$' '-tagfocus=tenant=blue & green'
has leak '^ *0 .* 3 .* parked_in_channel$' -sample_index=goroutine '-tagfocus=tenant=blue & green'
# tag PROFILE PATTERN: a line of the table of labels.
tag()
{
	"$go" tool pprof -symbolize=none -tags "$1" >said 2>errors && grep -q -e "$2" said ||
	    { echo "$1: no label: $2; but:"; cat errors said; failed=1; }
}
tag cpu '^ request: Total '
tag cpu '%): page 17$'
# Newer ones say of how many, and their percents are of all that there are.
tag goroutine '^ tenant: Total 3\.0\( of .*\)\?$'
tag goroutine ' 3\.0 ( *[0-9.]*%): blue & green$'
tag goroutine ' 2\.0 ( *[0-9.]*%): one of two$'
# A minute has not passed, and a channel is no mutex.
for profile in young mutex; do
	"$go" tool pprof -symbolize=none -top "$profile" >said 2>errors || { cat errors; failed=1; }
	if grep 'parked_in_channel\|weft_chan_recv' said; then
		echo "$profile: these do not belong there"
		failed=1
	fi
done
exit "$failed"
