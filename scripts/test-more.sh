#!/usr/bin/env bash
# The slow checks: the whole suite under AddressSanitizer and ThreadSanitizer, then the end-to-end suites in release,
# with the long ones, and real programs through the tunnel.
# Usage: scripts/test-more.sh [address|thread|heavy|programs|packs|packs-whole|disk]...   (all but packs-whole when none is named)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/install-deps.sh
source scripts/install-deps.sh
# shellcheck source=scripts/run-alone.sh
source scripts/run-alone.sh
reports="$(mktemp -d)"
trap 'end_sessions; rm -rf "$reports"' EXIT

# What a visitor costs in memory means nothing beside a sanitizer's own.
WITHOUT_MEMORY=(--skip "IntegrationTests.Load")

RELEASE=(run_alone swift test --no-parallel -c release --scratch-path .build-heavy -Xswiftc -enable-testing)

# Prints what the sanitizers reported in any process, that of the tests or a node that they started. False when there is something.
no_reports() {
    local list=("$reports"/*)
    [ -e "${list[0]}" ] || return 0
    cat "${list[@]}"
    echo "✘ ${#list[@]} processes have reports of a sanitizer"
    return 1
}

step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }

need_swift
install_packages "${BUILD_PACKAGES[@]}" curl openssl python3

parts=("$@")
[ ${#parts[@]} -eq 0 ] && parts=(address thread heavy programs packs disk)

for part in "${parts[@]}"; do
    status=0
    case "$part" in
    address)
        step "Tests under AddressSanitizer"
        # Swift's runtime keeps metadata on purpose until the end of the process; that is no leak of ours.
        ASAN_OPTIONS="detect_leaks=0 log_path=$reports/address" run_alone swift test --no-parallel --sanitize=address --scratch-path .build-address "${WITHOUT_MEMORY[@]}" || status=$?
        no_reports && [ "$status" -eq 0 ] || exit 1
        ;;
    thread)
        step "Tests under ThreadSanitizer"
        # The suppressions are by function, and without this program a stack has no names.
        command -v llvm-symbolizer >/dev/null || { echo "llvm-symbolizer is missing: put the bin folder of the Swift toolchain into PATH" >&2; exit 1; }
        TSAN_OPTIONS="halt_on_error=0 print_suppressions=0 suppressions=$PWD/Tests/ThreadSanitizer.suppressions log_path=$reports/thread" run_alone swift test --no-parallel --sanitize=thread --scratch-path .build-thread "${WITHOUT_MEMORY[@]}" || status=$?
        no_reports && [ "$status" -eq 0 ] || exit 1
        ;;
    heavy)
        step "The end-to-end suites against a release build"
        WEBGW_MORE=heavy "${RELEASE[@]}" --filter IntegrationTests
        ;;
    programs)
        step "Real programs through the tunnel, against a release build"
        install_packages redis-server redis-tools postgresql dnsperf dnsmasq-base iperf3 git openssh-server openssh-client util-linux
        WEBGW_MORE=programs "${RELEASE[@]}" --filter IntegrationTests.RealProgramTests
        ;;
    packs | packs-whole)
        step "Each byte of the fixture packs flipped, one at a time ($part: of the large ones every 97th, or all in some hours)"
        WEBGW_MORE="$part" "${RELEASE[@]}" --filter LedgerTests.PackSweepTests
        ;;
    disk)
        step "The ledger on a failing and on a full disk"
        install_packages fiu-utils
        run_alone swift test --no-parallel --filter "IntegrationTests.DiskFaults|IntegrationTests.FullDisk"
        ;;
    *)
        echo "unknown part $part; known are address, thread, heavy, programs, packs, packs-whole, disk" >&2
        exit 2
        ;;
    esac
done

step "All passed"
