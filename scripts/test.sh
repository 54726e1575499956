#!/usr/bin/env bash
# Everything a change must pass: form, build with warnings as errors, and the whole test suite.
# Usage: scripts/test.sh [arguments for `swift test`, such as --filter Command]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh

step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }

need_swift
step "Debian packages"
install_packages "${BUILD_PACKAGES[@]}" curl openssl python3 etcd-server

step "Form of the Swift sources (swift format lint --strict)"
swift format lint --strict --recursive --parallel Sources Tests Package.swift

step "Form of the scripts (shellcheck)"
if command -v shellcheck >/dev/null; then
    shellcheck -x scripts/*.sh .ci/run
else
    echo "shellcheck is not installed here; skipped"
fi

step "Build, warnings are errors"
swift build --build-tests

# In each lane one test at a time: many start processes and wait for them, and two cores cannot hold all of them to their
# deadlines. The suites that drive processes mostly wait, so that two lanes of them run beside the other suites.
step "Tests"
if [ $# -gt 0 ]; then
    swift test --skip-build --no-parallel "$@"
else
    suites="$(swift build --show-bin-path)/webgwPackageTests.xctest"
    logs="$(mktemp -d)"
    trap 'rm -rf "$logs"' EXIT
    lane() { "$suites" --testing-library swift-testing --no-parallel "$@"; }
    lane --filter '^IntegrationTests\.[A-K]' >"$logs/1" 2>&1 &
    first=$!
    lane --filter '^IntegrationTests\.[^A-K]' >"$logs/2" 2>&1 &
    second=$!
    failed=0
    lane --skip '^IntegrationTests' || failed=1
    wait "$first" || failed=1
    wait "$second" || failed=1
    cat "$logs/1" "$logs/2"
    [ "$failed" -eq 0 ] || { echo "Some tests failed; each has a line that begins with ✘" >&2; exit 1; }
fi

step "All passed"
