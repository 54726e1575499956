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
trap end_sessions EXIT

# What a visitor costs in memory means nothing beside a sanitizer's own.
WITHOUT_MEMORY=(--skip "IntegrationTests.Load")

RELEASE=(run_alone swift test --no-parallel -c release --scratch-path .build-heavy -Xswiftc -enable-testing)

step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }

need_swift
install_packages "${BUILD_PACKAGES[@]}" curl openssl python3

parts=("$@")
[ ${#parts[@]} -eq 0 ] && parts=(address thread heavy programs packs disk)

for part in "${parts[@]}"; do
    case "$part" in
    address)
        step "Tests under AddressSanitizer"
        # Swift's runtime keeps metadata on purpose until the end of the process; that is no leak of ours.
        ASAN_OPTIONS=detect_leaks=0 run_alone swift test --no-parallel --sanitize=address --scratch-path .build-address "${WITHOUT_MEMORY[@]}"
        ;;
    thread)
        step "Tests under ThreadSanitizer"
        TSAN_OPTIONS=halt_on_error=0 run_alone swift test --no-parallel --sanitize=thread --scratch-path .build-thread "${WITHOUT_MEMORY[@]}"
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
