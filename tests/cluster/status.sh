#!/usr/bin/env bash
# Tells how the cluster is: its brokers, who keeps the metadata, leaders and in-sync replicas of each partition, and at last
# whether all is well. The exit code is that of the last: 0 when it is, 3 when it is not, 5 when nobody answers.
#
#   tests/cluster/status.sh [HOST:PORT,...]
set -euo pipefail
. "$(dirname "$0")/common.sh"
brokers=${1:-$(bootstrap)}
echo "== brokers"
"$eddy" cluster brokers -b "$brokers"
for what in quorum partitions; do
  echo "== $what"
  "$eddy" cluster "$what" -b "$brokers" || true
done
echo "== health"
"$eddy" cluster health -b "$brokers"
