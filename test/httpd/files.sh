#!/usr/bin/env bash
# Files arrive as they are: see files.py.
exec python3 -B "$(dirname "$0")/files.py"
