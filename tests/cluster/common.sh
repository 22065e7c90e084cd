# For the scripts beside it: which binary, which directory, and where the cluster in it listens.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=${CLUSTER_DIR:-$root/eddy-data}
eddy=${EDDY:-$root/target/release/eddy}
# The broker takes variables that begin with EDDY for keys of its own.
unset EDDY
if [ ! -x "$eddy" ]; then
  (cd "$root" && cargo build --release -p eddy)
fi

# The Kafka addresses of the cluster that was last started in the directory.
bootstrap() {
  local ports
  ports=$(sed -n 's/.*"kafka_port": *\([0-9]*\).*/127.0.0.1:\1/p' "$dir/cluster.json" 2>/dev/null || true)
  echo "${ports:-127.0.0.1:9092}" | paste -sd,
}
