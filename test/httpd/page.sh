#!/usr/bin/env bash
# The page one sees first: see page.py.
exec python3 -B "$(dirname "$0")/page.py"
