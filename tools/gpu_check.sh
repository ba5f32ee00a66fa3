#!/usr/bin/env bash
# Runs the tests and benchmarks that need a GPU in under eight minutes.
#   tools/gpu_check.sh RESULTS       folder for the results: summary.json, tests*.xml, benchmark*.json, log.txt
#   PYTHON=python3                   interpreter; default: that of `make setup`, or else python3
# Nothing is downloaded: it uses the installed packages, and lists the steps that are skipped for a
# missing one.
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
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$PYTHON" -m tools.gpu_check "$1"
