#!/usr/bin/env bash
# Runs what needs a GPU, the tests and the benchmark, in under eight minutes.
#   tools/gpu_check.sh RESULTS       folder for the results: summary.json, tests.json, benchmark*.json, log.txt
#   PYTHON=python3                   interpreter; by default that of `make setup`, or else python3
# Nothing is downloaded: it uses what is installed beside PyTorch for CUDA, and says what it leaves
# out for want of a package.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ $# -ne 1 ]; then
  sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
if [ -z "${PYTHON:-}" ]; then
  if (set +u; . "$root/tools/environment/activate") 2> /dev/null; then
    set +u
    . "$root/tools/environment/activate"
    set -u
    PYTHON=python
  else
    PYTHON=python3
  fi
fi
export ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-$((1 + $$ % 100))}
exec "$PYTHON" "$root/tools/gpu_check.py" "$1"
