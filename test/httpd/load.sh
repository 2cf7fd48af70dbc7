#!/usr/bin/env bash
# A burst of load, and nothing left behind: see load.py.
exec python3 -B "$(dirname "$0")/load.py"
