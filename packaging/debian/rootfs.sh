#!/usr/bin/env bash
# Writes a tar archive of Debian or Ubuntu packages, unpacked with all that they depend on: rootfs.sh FILE PACKAGE...
# Nothing is configured; what their scripts would do is up to who uses it. Does nothing when the file is there.
set -euo pipefail
file=$1
shift
[ ! -e "$file" ] || exit 0
packages=$(IFS=,; echo "$*")
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "rootfs: unpacking $packages of $suite" >&2
trap 'rm -f "$file.new"' EXIT
$sudo mmdebstrap --quiet --variant=extract --include="$packages" \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--format=tar "$suite" - >"$file.new"
mv "$file.new" "$file"
