#!/usr/bin/env bash
# Compares the byte path with haproxy (one plaintext TCP hop) and ssh -R (aes128-gcm) on this machine: requests, new
# connections, bulk, idle memory and CPU, and single requests with the origin's own too; and data connections (reverse-raw) with
# haproxy, splice forced. Interleaved, medians of 5. Needs root for a network namespace of its own.
# Usage: scripts/bench.sh [--json] [--runs N] [--only http,cps,bulk,ping,idle,raw,latency,loops,stalled,frozen,tls]
# Environment: GW_NODE=path of a built gw-node (otherwise a release build is made).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh

install_packages "${BUILD_PACKAGES[@]}" haproxy openssh-server openssh-client wrk python3 gcc libc6-dev openssl iproute2 \
    util-linux procps >&2

if [ -z "${GW_NODE:-}" ]; then
    need_swift
    echo "Building gw-node (release)" >&2
    swift build -c release --static-swift-stdlib --product gw-node >&2
    GW_NODE="$(swift build -c release --static-swift-stdlib --show-bin-path)/gw-node"
fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 Benchmarks/compare.py --gw-node "$GW_NODE" --work "$work" "$@"
