#!/usr/bin/env bash
# ctest: serial timeout=240
# 10,000 connections open at once, each of them busy, client and server in a process of their own;
# then again with clients among them that reset, stall, lie and vanish. If it fails, connections
# are lost, mixed up or left behind where there are many.
set -euo pipefail
. "$WEFT_SRC/test/net/crowd.sh"
connections=${WEFT_CONNECTIONS:-$((10000 / scale))}
rounds=${WEFT_ROUNDS:-5}

# Each end needs a descriptor for each connection, and a few more.
[ "$(ulimit -Hn)" -ge $((connections + 100)) ] ||
	{ echo "this machine allows only $(ulimit -Hn) descriptors"; exit 1; }

start_server 120 127.0.0.1:0
"$crowd" ask "127.0.0.1:$port" "$connections" "$rounds" 200
stop_server "$connections"
grep -q ", $connections at a time" "$work/server" || { echo "not all were open at once"; exit 1; }

# The honest ones are a tenth of those, and must not notice. Those that stall are cut off only if
# WEFT_SECONDS is longer than that: on a busy machine honest ones pause for seconds, too.
start_server 15 127.0.0.1:0
"$crowd" harm "127.0.0.1:$port" "${WEFT_SECONDS:-8}" &
villain=$!
for _ in 1 2 3; do
	"$crowd" ask "127.0.0.1:$port" $((connections / 10)) "$rounds" 200
done
wait "$villain"
# Some of the villains end well: what they sent was a frame.
honest=$((connections / 10 * 3))
kill -TERM "$server"
wait "$server" || { cat "$work/server"; exit 1; }
server=
cat "$work/server"
served=$(sed -n 's/.*served \([0-9]*\), .*left 0 goroutines, 0 descriptors$/\1/p' "$work/server")
[ "${served:-0}" -ge "$honest" ] || { echo "expected $honest or more, and nothing left"; exit 1; }
