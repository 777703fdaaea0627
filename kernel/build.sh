#!/usr/bin/env bash
# Builds Skerry's guest kernel: an uncompressed vmlinux (x86_64, PVH) or Image (arm64).
#
#   kernel/build.sh [-c CONFIG] [-z BZIMAGE] [x86_64|arm64] OUTPUT
#
# With -z the same x86_64 kernel is also left as a bzImage, which is what Virtualization.framework takes on Intel.
# ARCH defaults to the host's. The source is $KERNEL_SRC (a kernel tarball) or Debian's linux-source-6.12.
# The configuration is allnoconfig plus config/common.fragment plus config/ARCH.fragment, or with -c a complete
# configuration from elsewhere (the benchmark builds its peer that way).
#
# Results are kept in ${XDG_CACHE_HOME:-~/.cache}/skerry/kernel/KEY/ together with their .config; KEY is a hash of
# everything that decides the result. JOBS sets make's parallelism, TMPDIR where the 2 GB of source and objects go.
set -euo pipefail
export LC_ALL=C
unset CDPATH MAKEFLAGS KBUILD_OUTPUT ARCH CROSS_COMPILE

readonly default_source=/usr/src/linux-source-6.12.tar.xz
readonly progress_seconds=20
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here

say() { printf 'kernel: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { say "usage: build.sh [-c CONFIG] [-z BZIMAGE] [x86_64|arm64] OUTPUT"; exit 2; }

host_arch() {
	case $(uname -m) in
	x86_64) echo x86_64 ;;
	aarch64 | arm64) echo arm64 ;;
	*) die "no kernel for a $(uname -m) host; name x86_64 or arm64" ;;
	esac
}

# need TOOL PACKAGE: stops with the package's name if the tool is not there.
need() { command -v "$1" >/dev/null || die "$1 is not installed: apt-get install $2"; }

check_tools() {
	local package=gcc-${cross%-}
	[ -z "$cross" ] || need "${cross}gcc" "${package//_/-}"
	need gcc gcc
	local tool
	for tool in make flex bison bc flock tar perl; do need "$tool" "${tool/flock/util-linux}"; done
	need xz xz-utils
	# objtool, which only x86 runs, links libelf.
	[ -z "$compressed" ] || need lz4 lz4
	if [ "$arch" = x86_64 ]; then
		echo '#include <gelf.h>' | gcc -E - >/dev/null 2>&1 || die "gelf.h is missing: apt-get install libelf-dev"
	fi
}

find_source() {
	source_tar=${KERNEL_SRC:-$default_source}
	[ -f "$source_tar" ] && return
	[ -z "${KERNEL_SRC:-}" ] || die "KERNEL_SRC=$KERNEL_SRC: no such tarball"
	die "$default_source is missing: apt-get install linux-source-6.12, or set KERNEL_SRC to a kernel tarball"
}

# The key covers contents, never names or times: the same inputs find the same kernel on any path.
cache_key() {
	{
		echo "$arch"
		sha256sum <"$source_tar"
		"${cross}gcc" --version | head -n 1
		"${cross}ld" --version | head -n 1
		cat "$here/build.sh" "${inputs[@]}"
	} | sha256sum | cut -c 1-32
}

# run COMMAND...: runs quietly and so that a signal to this script ends it; a failure shows how the log ends.
run() {
	"$@" >>"$log" 2>&1 9>&- &
	job=$!
	local status=0
	wait "$job" || status=$?
	job=
	[ "$status" -ne 0 ] || return 0
	say "failed: $*; the log ends:"
	grep -vE '^  [A-Z0-9_]+ ' "$log" | tail -n 25 >&2
	exit 1
}

configure() {
	if [ -n "$config" ]; then
		cp "$config" .config
		run "${kmake[@]}" olddefconfig
		return
	fi
	cat "${fragments[@]}" >fragment
	run "${kmake[@]}" KCONFIG_ALLCONFIG=fragment allnoconfig
	run "${kmake[@]}" olddefconfig
	verify
}

# knows NAME: whether this source has such an option at all.
knows() { grep -rqE --include='Kconfig*' "^[[:space:]]*(menu)?config[[:space:]]+${1#CONFIG_}[[:space:]]*$" .; }

# Kconfig drops what it does not know or whose dependencies are not met without a word; a container then finds out.
verify() {
	local line name version lost=0
	version=$("${kmake[@]}" -s kernelversion)
	while IFS= read -r line; do
		case $line in
		CONFIG_*=*) name=${line%%=*}; grep -qxF -- "$line" .config && continue ;;
		'# CONFIG_'*' is not set') name=${line#\# }; name=${name%% *}; grep -q "^$name=" .config || continue ;;
		'' | '#'*) continue ;;
		*) die "fragment line is neither an option nor a comment: $line" ;;
		esac
		if knows "$name"; then
			say "lost: $line (have: $(grep -E "^(# )?$name[= ]" .config || echo "dependencies not met"))"
		elif sed 's/#.*//' "$version_dependent" | grep -qw -- "$name"; then
			say "note: linux $version does not know $name"
			continue
		else
			say "lost: $line (linux $version does not know it; see config/version-dependent)"
		fi
		lost=$((lost + 1))
	done <fragment
	[ "$lost" -eq 0 ] || die "$lost options did not survive into the configuration"
}

# Prints how far make is until it is killed; TERM reaches the sleep by way of wait.
progress() {
	local start=$SECONDS
	trap 'kill $! 2>/dev/null; exit' TERM
	while sleep "$progress_seconds" & wait $!; do
		say "$arch: $(grep -cE '^  (CC|AS) ' "$log" || true) objects after $((SECONDS - start)) s"
	done
}

compile() {
	progress 9>&- &
	progress_pid=$!
	run "${kmake[@]}" -j"${JOBS:-$(nproc)}" "${targets[@]}"
	kill "$progress_pid"
	progress_pid=
}

# store DIR: publishes the result under its key by one rename.
store() {
	local stage=$1.new
	rm -rf "$stage"
	mkdir "$stage"
	if [ "$arch" = x86_64 ]; then
		# Symbols go, notes stay: QEMU finds the PVH entry point in one.
		"${cross}strip" --strip-all -o "$stage/$name" "$built"
	else
		cp "$built" "$stage/$name"
	fi
	[ -z "$compressed" ] || cp "$compressed" "$stage/"
	cp .config "$stage/config"
	chmod 444 "$stage"/*
	mv -T "$stage" "$1"
}

build() {
	workdir=$(mktemp -d "${TMPDIR:-/var/tmp}/skerry-kernel.XXXXXXXX")
	log=$workdir/log
	say "building for $arch from $source_tar; this takes some minutes"
	run tar -xf "$source_tar" -C "$workdir" --strip-components=1
	cd "$workdir"
	# Fixed names and the source's own date make the result the same everywhere.
	kmake=(make ARCH="$arch" CROSS_COMPILE="$cross"
		KBUILD_BUILD_TIMESTAMP="$(date -u -r Makefile)" KBUILD_BUILD_VERSION=1
		KBUILD_BUILD_USER=skerry KBUILD_BUILD_HOST=skerry)
	configure
	compile
	store "$cache/$key"
	cd "$here"
}

cleanup() {
	local status=$? pid
	for pid in ${progress_pid:-} ${job:-}; do
		kill "$pid" 2>/dev/null && wait "$pid" || true
	done
	[ -z "${workdir:-}" ] || rm -rf "$workdir"
	exit "$status"
}

# deliver NAME FILE: copies a result out of the cache.
deliver() {
	mkdir -p "$(dirname "$2")"
	cp --reflink=auto "$cache/$key/$1" "$2.$$"
	chmod 644 "$2.$$"
	mv -f "$2.$$" "$2"
}

# A function is read whole before it runs: an edit of this file does not reach a build under way.
main() {
	config=''
	bzimage=''
	while getopts c:z: option; do
		case $option in
		c) config=$(realpath -e -- "$OPTARG") || exit 1 ;;
		z) bzimage=$(realpath -m -- "$OPTARG") ;;
		*) usage ;;
		esac
	done
	shift $((OPTIND - 1))
	case $# in
	1) arch=$(host_arch) ;;
	2) arch=$1; shift ;;
	*) usage ;;
	esac
	output=$(realpath -m -- "$1")

	compressed=
	case $arch in
	x86_64) name=vmlinux built=vmlinux targets=(vmlinux) triplet=x86_64-linux-gnu- ;;
	arm64) name=Image built=arch/arm64/boot/Image targets=(Image) triplet=aarch64-linux-gnu- ;;
	*) die "unknown architecture $arch: x86_64 or arm64" ;;
	esac
	cross=
	[ "$arch" = "$(host_arch)" ] || cross=$triplet
	# A configuration from elsewhere may want any compressor; ours is always built in both forms.
	if [ "$arch" = x86_64 ] && [ -z "$config" ]; then
		compressed=arch/x86/boot/bzImage
		targets+=(bzImage)
	fi
	[ -z "$bzimage" ] || [ -n "$compressed" ] || die "-z: only our own x86_64 kernel is built as a bzImage"
	fragments=("$here/config/common.fragment" "$here/config/$arch.fragment")
	version_dependent=$here/config/version-dependent
	inputs=("${fragments[@]}" "$version_dependent")
	[ -z "$config" ] || inputs=("$config")

	find_source
	check_tools
	key=$(cache_key)
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/skerry/kernel
	mkdir -p "$cache"

	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	# One build of a key at a time; whoever waited finds it done. The lock dies with its holder.
	exec 9>"$cache/$key.lock"
	flock 9
	[ -f "$cache/$key/$name" ] || build
	deliver "$name" "$output"
	[ -z "$bzimage" ] || deliver bzImage "$bzimage"
}

main "$@"; exit
