#!/usr/bin/env bash
# Takes one file out of a Debian or Ubuntu package for another architecture, without installing anything or telling dpkg
# of that architecture.
#
#   packaging/debian/foreign.sh ARCH PACKAGE FILE OUTPUT
set -euo pipefail
[ $# = 4 ] || { echo "usage: foreign.sh ARCH PACKAGE FILE OUTPUT" >&2; exit 2; }
arch=$1 package=$2 file=$3 output=$(realpath -m -- "$4")
[ ! -f "$output" ] || exit 0

dir=$(mktemp -d)
trap 'rm -rf "$dir" "$output.new"' EXIT
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$(dirname "$output")"
apt=(apt-get -q -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o Dir::State::Lists="$dir/lists"
	-o Dir::State::Status=/dev/null -o Dir::Cache="$dir/cache" -o APT::Sandbox::User="$(id -un)")
# Ubuntu keeps other architectures than amd64 in another place.
if grep -q '^ID=ubuntu' /etc/os-release && [ "$arch" != amd64 ]; then
	. /etc/os-release
	echo "deb http://ports.ubuntu.com/ubuntu-ports $VERSION_CODENAME main universe" >"$dir/sources.list"
	apt+=(-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null)
fi
"${apt[@]}" update >&2
cd "$dir"
"${apt[@]}" download "$package" >&2
dpkg-deb --fsys-tarfile "$package"_*.deb | tar -xO "./$file" >"$output.new"
[ -s "$output.new" ] || { echo "foreign: $file of $package for $arch is a link or empty" >&2; exit 1; }
chmod 755 "$output.new"
mv "$output.new" "$output"
