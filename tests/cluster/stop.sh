#!/usr/bin/env bash
# Stops the cluster that start.sh started; its data is kept.
set -euo pipefail
. "$(dirname "$0")/common.sh"
"$eddy" down --dir "$dir"
