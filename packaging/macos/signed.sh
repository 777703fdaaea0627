#!/usr/bin/env bash
# Signs a test program with the entitlement for virtualization and runs it: go test -exec packaging/macos/signed.sh
set -euo pipefail
codesign --force --sign - --timestamp=none --entitlements "$(dirname "$0")/../../entitlements.plist" "$1"
exec "$@"
