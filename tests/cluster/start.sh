#!/usr/bin/env bash
# Starts a local cluster and leaves it running: tests/cluster/start.sh [arguments of `eddy up`]
# EDDY is the binary (default: the release build of this tree), CLUSTER_DIR where the cluster lives.
set -euo pipefail
. "$(dirname "$0")/common.sh"
"$eddy" up --dir "$dir" --detach "$@"
