#!/usr/bin/env bash
# Everything a change must pass: form, build with warnings as errors, and the whole test suite.
# Usage: scripts/test.sh [arguments for `swift test`, such as --filter Command]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh
# shellcheck source=scripts/run-alone.sh
source scripts/run-alone.sh
trap end_sessions EXIT

# Makes a folder on a file system in memory with room for the files of all tests, and prints its name.
folder_in_memory() {
    local free folder
    free="$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" || return 1
    [ "${free:-0}" -ge $((4 << 20)) ] || return 1
    free="$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
    [ "${free:-0}" -ge $((8 << 20)) ] || return 1
    folder="$(mktemp -d /dev/shm/webgw-tests-XXXXXX)" || return 1
    # As in /tmp: servers that give up root look into it too.
    chmod 755 "$folder"
    # Tests run programs that they write; some systems forbid that there.
    printf '#!/bin/sh\n' >"$folder/probe"
    chmod 700 "$folder/probe"
    if ! "$folder/probe"; then
        rm -rf "$folder"
        return 1
    fi
    rm "$folder/probe"
    printf '%s\n' "$folder"
}

# Prints what failed in each of these logs last: what comes before it is long, and whoever reads may be given the end alone.
failures() {
    local log
    step "Some tests failed"
    for log in "$@"; do
        grep -A 3 '^✘' "$log" | grep -v -e '^◇' -e '^✔' || { echo "The end of lane ${log##*/}, in which no test failed:"; tail -n 3 "$log"; }
    done
}

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
    run_alone swift test --skip-build --no-parallel "$@"
else
    suites="$(swift build --show-bin-path)/webgwPackageTests.xctest"
    logs="$(mktemp -d)"
    trap 'end_sessions; rm -rf "$logs" ${memory:+"$memory"}' EXIT
    # Ledgers sync every batch. Three lanes of them keep a virtual machine's disk busy until one sync takes longer than a test
    # waits for anything, so that the files of tests are kept in memory where there is room. Nothing is proved by a disk
    # here: faults of one are injected between the program and the system.
    if [ -z "${TMPDIR:-}" ] && memory="$(folder_in_memory)"; then export TMPDIR="$memory"; fi
    # Colours, which a pipe gets too, would hide the marks that lines begin with.
    export NO_COLOR=1
    lane() { run_alone "$suites" --testing-library swift-testing --no-parallel "$@"; }
    lane --filter '^IntegrationTests\.[A-K]' >"$logs/2" 2>&1 &
    first=$!
    lane --filter '^IntegrationTests\.[^A-K]' >"$logs/3" 2>&1 &
    second=$!
    failed=0
    lane --skip '^IntegrationTests' 2>&1 | tee "$logs/1" || failed=1
    wait "$first" || failed=1
    wait "$second" || failed=1
    cat "$logs/2" "$logs/3"
    [ "$failed" -eq 0 ] || { failures "$logs"/*; exit 1; }
fi

step "All passed"
