#!/usr/bin/env bash
# Starts a local cluster of three nodes and leaves it running; what runs already is left alone.
#
#   tests/cluster/start.sh [arguments of `eddy up`]
#   tests/cluster/start.sh --fresh                      without the data of the last time
#   tests/cluster/start.sh --port 19092 --admin-port 19644 --cluster-port 19344
#   tests/cluster/start.sh --set min.insync.replicas=1  any key of a broker
#
# EDDY is the binary (default: the release build of this tree), CLUSTER_DIR where the cluster lives: node I has its data, its
# log (eddy.log), its process id (eddy.pid) and its command line (command) in node-I. NODES is how many (3; also 1 and 5).
# Returns when every node serves, and prints the addresses last.
set -euo pipefail
. "$(dirname "$0")/common.sh"
code=0
"$eddy" up --dir "$dir" --nodes "${NODES:-3}" --detach "$@" || code=$?
if [ $code -ne 0 ]; then
  for log in "$dir"/node-*/eddy.log; do
    [ -f "$log" ] || continue
    echo "== the last lines of $log" >&2
    tail -n 20 "$log" >&2
  done
  exit $code
fi
echo "bootstrap $(bootstrap)"
