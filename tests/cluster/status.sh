#!/usr/bin/env bash
# Tells how the cluster is; exit code 0 when it is healthy: tests/cluster/status.sh [HOST:PORT]
set -euo pipefail
. "$(dirname "$0")/common.sh"
"$eddy" cluster health -b "${1:-127.0.0.1:9092}"
