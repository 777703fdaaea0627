#!/usr/bin/env bash
# Looks over all code: scripts and workflows, and Go's format, vet and staticcheck as it is built for Linux and for macOS. The macOS files need
# no Mac: darwincheck type-checks them with cgo's part of other modules taken on trust, and cgostub makes copies of
# these modules without cgo, for vet and staticcheck.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOFLAGS="${GOFLAGS:--buildvcs=false -tags=containers_image_openpgp}"
staticcheck() { go tool -modfile=.ci/tools.mod staticcheck -tags containers_image_openpgp "$@"; }

unformatted=$(git ls-files -z '*.go' ':!:*.pb.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'lint: gofmt -w is needed for:\n%s\n' "$unformatted" >&2
	exit 1
fi
# SC1087 and SC2100 take a regular expression for an index and a package's name for arithmetic.
git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck --severity=warning --exclude=SC1087,SC2100
go tool -modfile=.ci/tools.mod actionlint

echo "lint: linux" >&2
go vet ./...
staticcheck ./...

# What is built for macOS: all but what is Linux's alone.
mac=(./app/... ./engine ./engine/agent/... ./engine/image/... ./engine/logfile/... ./engine/nbd/... ./engine/network/... ./engine/seccomp/... ./engine/translate ./engine/unixsocket ./engine/vm ./engine/vm/console ./engine/vm/vz/... ./engine/vm/vmtest/... ./ext4/... ./registry/... ./guest/api/... ./packaging/...)
stubs=$(mktemp -d)
trap 'rm -rf "$stubs"' EXIT
for arch in arm64 amd64; do
	echo "lint: darwin/$arch" >&2
	go run ./tests/darwincheck -goarch "$arch" -tags containers_image_openpgp -test "${mac[@]}"
	go run ./tests/cgostub -goarch "$arch" -o "$stubs/$arch" "${mac[@]}"
	GOWORK=$stubs/$arch/go.work GOOS=darwin GOARCH=$arch CGO_ENABLED=0 go vet "${mac[@]}"
	# What needs neither vz nor systray is compiled for real, and with it the calls into the system that purego makes.
	mapfile -t pure < <(GOOS=darwin GOARCH=$arch CGO_ENABLED=1 go list -f '{{.ImportPath}} {{join .Deps " "}}' "${mac[@]}" |
		grep -vE ' (github.com/Code-Hex/vz/v3|fyne.io/systray)( |$)' | cut -d' ' -f1)
	GOOS=darwin GOARCH=$arch CGO_ENABLED=0 go build "${pure[@]}"
done
echo "lint: staticcheck for darwin" >&2
go build -modfile=.ci/tools.mod -o "$stubs/staticcheck" honnef.co/go/tools/cmd/staticcheck
GOWORK=$stubs/arm64/go.work GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 "$stubs/staticcheck" -tags containers_image_openpgp "${mac[@]}"
# Nearly all is the same for both.
GOWORK=$stubs/amd64/go.work GOOS=darwin GOARCH=amd64 CGO_ENABLED=0 "$stubs/staticcheck" -tags containers_image_openpgp ./engine/vm/vz
