#!/usr/bin/env bash
# Requests as the world sends them: see protocol.py.
exec python3 -B "$(dirname "$0")/protocol.py"
