# Sourced by the other scripts: installs Debian packages that are missing, by name, and says so.
# Usage: install_packages NAME...
# shellcheck shell=bash

install_packages() {
    local missing=() name
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not Debian, so these packages (or what your system calls them) must be there already: $*"
        return 0
    fi
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "These Debian packages are missing: ${missing[*]}" >&2
            echo "Install them as root: apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing missing Debian packages: ${missing[*]}"
    local attempt
    for attempt in 1 2; do
        if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null; then
            return 0
        fi
        [ "$attempt" -eq 2 ] && break
        echo "Refreshing the package lists and trying again"
        "${as_root[@]}" apt-get update -q >/dev/null || true
    done
    echo "Could not install: ${missing[*]}" >&2
    return 1
}

# What the build itself needs.
# shellcheck disable=SC2034
BUILD_PACKAGES=(libssl-dev libsqlite3-dev libcurl4-openssl-dev zlib1g-dev pkg-config)

need_swift() {
    if ! command -v swift >/dev/null; then
        echo "The Swift toolchain is missing: install Swift 6.3 from https://www.swift.org/install/linux/debian/12" >&2
        exit 1
    fi
}
