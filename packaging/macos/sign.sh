#!/usr/bin/env bash
# Signs an application from the inside out. Without an identity the signature is ad hoc, which is enough to run machines
# on the Mac that has built it.
#
#   [SIGN_IDENTITY="Developer ID Application: NAME (TEAM)"] packaging/macos/sign.sh Skerry.app
set -euo pipefail
[ $# = 1 ] || { echo "usage: sign.sh Skerry.app" >&2; exit 2; }
app=$1
# Virtualization.framework asks for one entitlement, com.apple.security.virtualization, and for nothing else.
# (com.apple.vm.networking, for bridged networks, is restricted: a program that carries it without Apple's leave is
# killed at its start.) The file has no comment: codesign's parser takes none, though plutil does.
entitlements=$(dirname "$0")/../../entitlements.plist

flags=(--force --options runtime --entitlements "$entitlements" --sign "${SIGN_IDENTITY:--}")
# Only Apple's time server vouches for when, and only for a real identity.
if [ -n "${SIGN_IDENTITY:-}" ]; then flags+=(--timestamp); else flags+=(--timestamp=none); fi
codesign "${flags[@]}" "$app/Contents/MacOS/skerry"
codesign "${flags[@]}" "$app"
