#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that are missing for building and running Skerry, and with the argument
# "test" those that its tests need beside them, with "foreign" those for the other architecture, with "ext4" those to
# measure and prove file systems with, with "pictures" those to take pictures of the menu; with "lint" only what looks
# over scripts. Does nothing, without root, when all
# are there.
set -euo pipefail

case $(uname -m) in
x86_64) qemu=qemu-system-x86 ;;
aarch64) qemu=qemu-system-arm ;;
*) echo "deps: Skerry does not run on $(uname -m)" >&2; exit 1 ;;
esac

packages=("$qemu" gcc libc6-dev make flex bison bc libelf-dev perl xz-utils lz4 busybox-static)
[ -n "${KERNEL_SRC:-}" ] || packages+=(linux-source-6.12)
case ${1:-} in
lint) packages=(shellcheck) ;;
test)
	packages+=(dbus-daemon e2fsprogs iproute2 cpio qemu-user-static qemu-utils desktop-file-utils icnsutils systemd mmdebstrap)
	command -v docker >/dev/null || packages+=(docker-cli)
	;;
foreign) packages+=(qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross e2fsprogs) ;;
pictures) packages+=(xfce4-panel xvfb dbus xdotool imagemagick x11-utils x11-xserver-utils) ;;
ext4) packages+=(e2fsprogs mmdebstrap isal zstd) ;;
esac

missing=()
for package in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "deps: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q >&2
# Before Debian 13 the docker command comes with the daemon only.
if ! apt-cache show docker-cli >/dev/null 2>&1; then
	missing=("${missing[@]/#docker-cli/docker.io}")
fi
$sudo apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
