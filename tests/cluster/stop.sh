#!/usr/bin/env bash
# Stops the nodes that start.sh started, by their pid files only; their data is kept.
set -euo pipefail
. "$(dirname "$0")/common.sh"
"$eddy" down --dir "$dir"
