#!/usr/bin/env bash
# Measures a gateway with 100,000 routes and 10,000 agent sessions: start, publication of a change, look-up of a host, memory
# of a session. The sessions are real TLS connections over loopback; each end needs a descriptor of its own process.
# Usage: scripts/bench-gateway.sh [--contracts N] [--hosts N] [--sessions N] [--loops N]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh

install_packages "${BUILD_PACKAGES[@]}" gcc libc6-dev >&2
need_swift
export WEBGW_BENCHMARKS=1
swift build -c release --static-swift-stdlib --product gateway-bench >&2
bench="$(swift build -c release --static-swift-stdlib --show-bin-path)/gateway-bench"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cc -O2 -o "$work/sessions" Benchmarks/gateway/sessions.c -lssl -lcrypto
# Each of the two processes needs a descriptor for a session; root may have as many as that.
ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -H -n)"
"$bench" --contracts 10000 --hosts 10 --sessions 10000 --tool "$work/sessions" "$@"
