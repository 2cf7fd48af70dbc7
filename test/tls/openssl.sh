#!/usr/bin/env bash
# Our server with `openssl s_client`, our client with `openssl s_server`: see openssl.py.
exec python3 -B "$(dirname "$0")/openssl.py" "$@"
