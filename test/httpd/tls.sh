#!/usr/bin/env bash
# weft-httpd --tls: see tls.py.
exec python3 -B "$(dirname "$0")/tls.py" "$@"
