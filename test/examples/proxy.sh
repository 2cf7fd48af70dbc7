#!/usr/bin/env bash
# The proxy, with curl, nc and socat and with hostile clients: see proxy.py.
exec python3 -B "$(dirname "$0")/proxy.py" "$@"
