#!/usr/bin/env bash
# Measures the ledger on logs of 10^4, 10^5 and 10^6 entries: audit replay, a watcher's catch-up, POST /entries and memory,
# beside the rate at which this machine verifies the same signatures and does nothing else. Needs 6 GiB of disk.
# Usage: scripts/bench-ledger.sh [--json] [--runs N] [--sizes 10000,100000,1000000] [--posts N] [--connections N]
# Environment: BENCH_WORK=folder that keeps the logs for the next run (otherwise they are made anew).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh

install_packages "${BUILD_PACKAGES[@]}" python3 gcc libc6-dev >&2
need_swift
echo "Building gw-node and ledger-bench (release)" >&2
export WEBGW_BENCHMARKS=1
for product in gw-node ledger-bench; do
    swift build -c release --static-swift-stdlib --product "$product" >&2
done
bin="$(swift build -c release --static-swift-stdlib --show-bin-path)"

if [ -n "${BENCH_WORK:-}" ]; then
    work="$BENCH_WORK"
    mkdir -p "$work"
else
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
fi
cc -O2 -o "$work/post" Benchmarks/ledger/post.c
ulimit -n "$(ulimit -Hn)"
python3 Benchmarks/ledger/compare.py --gw-node "$bin/gw-node" --bench "$bin/ledger-bench" --post "$work/post" --work "$work" "$@"
