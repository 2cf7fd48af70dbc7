#!/usr/bin/env bash
# Starts the echo server of examples/ on a free port, lets 100 clients ask it, and stops it. If it
# fails, what the documentation shows as network code does not work.
set -eu
echo=$WEFT_BUILD/examples/echo
out=$(mktemp)
trap 'rm -f "$out"' EXIT

"$echo" serve 127.0.0.1:0 >"$out" &
server=$!
for _ in $(seq 100); do
	port=$(sed -n 's/^echo: listening on port //p' "$out")
	[ -n "$port" ] && break
	kill -0 $server
	sleep 0.1
done

"$echo" ask "127.0.0.1:$port" 100 50 | grep '^echo: 100 connections, 5000 messages, 0 failed'
"$echo" ask "localhost:$port" 1 1 | grep ' 0 failed'

# A second server on the port is refused, and says why.
! "$echo" serve "127.0.0.1:$port" 2>"$out.err"
grep -q 'Address already in use' "$out.err"
rm "$out.err"

kill -INT $server
wait $server
! "$echo" ask "127.0.0.1:$port" 1 1 2>/dev/null
! "$echo" serve nonsense 2>/dev/null
! "$echo" 2>/dev/null
