#!/usr/bin/env bash
# What it says when it starts, or cannot: see start.py.
exec python3 -B "$(dirname "$0")/start.py"
