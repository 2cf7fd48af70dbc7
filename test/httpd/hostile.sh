#!/usr/bin/env bash
# Clients that are slow, silent, greedy or gone: see hostile.py.
exec python3 -B "$(dirname "$0")/hostile.py"
