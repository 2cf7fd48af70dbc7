#!/usr/bin/env bash
# Nothing that was accepted is lost: see stop.py.
exec python3 -B "$(dirname "$0")/stop.py"
