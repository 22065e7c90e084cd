# For the scripts beside it: which binary, and which directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=${CLUSTER_DIR:-$root/eddy-data}
eddy=${EDDY:-$root/target/release/eddy}
unset EDDY
if [ ! -x "$eddy" ]; then
  (cd "$root" && cargo build --release -p eddy)
fi
