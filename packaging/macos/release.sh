#!/usr/bin/env bash
# Notarizes a signed application and makes of it what people download: a disk image and a zip, in the application's
# directory. Without NOTARY_PROFILE (of xcrun notarytool store-credentials) it is not notarized.
#
#   [NOTARY_PROFILE=NAME] [SIGN_IDENTITY=...] packaging/macos/release.sh Skerry.app VERSION
set -euo pipefail
[ $# = 2 ] || { echo "usage: release.sh Skerry.app VERSION" >&2; exit 2; }
app=$1 version=${2#v}
name=$(dirname "$app")/Skerry-$version-$(uname -m)

# notarize FILE STAPLED: has Apple look at a file and puts its ticket on another.
notarize() {
	[ -n "${NOTARY_PROFILE:-}" ] || return 0
	xcrun notarytool submit "$1" --keychain-profile "$NOTARY_PROFILE" --wait
	xcrun stapler staple "$2"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ditto -c -k --keepParent "$app" "$work/Skerry.zip"
notarize "$work/Skerry.zip" "$app"
ditto -c -k --keepParent "$app" "$name.zip" # with the ticket

mkdir "$work/image"
ditto "$app" "$work/image/Skerry.app"
ln -s /Applications "$work/image/Applications"
hdiutil create -quiet -fs HFS+ -format UDZO -volname Skerry -srcfolder "$work/image" -ov "$name.dmg"
[ -z "${SIGN_IDENTITY:-}" ] || codesign --force --timestamp --sign "$SIGN_IDENTITY" "$name.dmg"
notarize "$name.dmg" "$name.dmg"
