#!/usr/bin/env bash
# Has macOS judge an application's signature, and reads the entitlement back that machines need.
#
#   packaging/macos/verify.sh Skerry.app
set -euo pipefail
[ $# = 1 ] || { echo "usage: verify.sh Skerry.app" >&2; exit 2; }
app=$1

codesign --verify --strict --verbose=2 "$app"
entitlements=$(codesign --display --entitlements - --xml "$app" 2>/dev/null)
case $entitlements in
*com.apple.security.virtualization*) ;;
*) echo "verify: $app has no entitlement for virtualization: packaging/macos/sign.sh $app" >&2; exit 1 ;;
esac
signature=$(codesign --display --verbose=2 "$app" 2>&1)
case $signature in
*Signature=adhoc*) echo "verify: signed ad hoc: it runs here; Gatekeeper refuses it where it was downloaded" >&2 ;;
*) spctl --assess --type execute --verbose=2 "$app" ;;
esac
