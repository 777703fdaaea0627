#!/usr/bin/env bash
# Makes the trees that `make bench-ext4` packs into layers, in the directory $1: a Debian system in four layers, each
# with what the kernel's overlayfs keeps of the changes to those below: 0 is a minimal system, 1 adds interpreters, 2
# compilers, a Java runtime and the package cache, 3 deletes documentation and caches. 2 GB are downloaded or unpacked.
set -euo pipefail
dir=$1
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
work=$dir/.work
root=$dir/.root
trap 'umount -q "$root/proc" "$root" 2>/dev/null || true' EXIT
rm -rf "$work"
mkdir -p "$work" "$root"

mmdebstrap --quiet --mode=root --variant=minbase "$suite" "$dir/0" >&2
cp -a /etc/apt/apt.conf.d/. "$dir/0/etc/apt/apt.conf.d/"
rm -f "$dir/0/etc/apt/apt.conf.d/docker-clean" # would delete the package cache
cp /etc/resolv.conf "$dir/0/etc/resolv.conf"
[ ! -d /usr/local/share/ca-certificates ] || cp -a /usr/local/share/ca-certificates/. "$dir/0/usr/local/share/ca-certificates/"

# layer N COMMAND runs a command as root of the layers below and keeps its changes.
layer() {
	local lower=$dir/0 i
	for ((i = 1; i < $1; i++)); do lower=$dir/$i:$lower; done
	mkdir -p "$dir/$1"
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/$1,workdir=$work" "$root"
	mount -t proc proc "$root/proc"
	DEBIAN_FRONTEND=noninteractive chroot "$root" sh -ec "$2" >&2
	umount "$root/proc" "$root"
	rm -rf "$work"
	mkdir "$work"
}

install='apt-get -q -y -o APT::Keep-Downloaded-Packages=true install --no-install-recommends'
layer 1 "apt-get -q update && $install python3 perl git curl"
layer 2 "$install build-essential default-jre-headless python3-numpy nodejs"
layer 3 'rm -rf /usr/share/doc /usr/share/man /usr/share/locale /var/cache/apt/archives /var/lib/apt/lists
mkdir -p /var/cache/apt/archives/partial
chown -R 1000:1000 /usr/lib/python3/dist-packages
rm -f /usr/bin/perl5.*'

# What the four look like together.
mkdir -p "$dir/flat"
mount -t overlay overlay -o "lowerdir=$dir/3:$dir/2:$dir/1:$dir/0" "$root"
cp -a "$root/." "$dir/flat/"
umount "$root"
rmdir "$root"
rm -rf "$work"
