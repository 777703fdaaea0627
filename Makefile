# Skerry's tasks; `make help` lists them. Everything works as root or with sudo.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

# containers/image would link a C library for signatures without this tag.
export GOFLAGS := -buildvcs=false -tags=containers_image_openpgp
TOOL := go tool -modfile=.ci/tools.mod

ARCH := $(subst aarch64,arm64,$(shell uname -m))
KERNEL := bin/$(if $(filter arm64,$(ARCH)),Image,$(if $(filter Darwin,$(shell uname -s)),bzImage,vmlinux))
# The compressed form of the same kernel is what Macs with Intel boot.
BZIMAGE := $(if $(filter x86_64,$(ARCH)),bin/bzImage)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# What a Mac runs, which is tested everywhere.
MAC_KERNEL := bin/Image
MAC_INIT := bin/$(if $(filter arm64,$(ARCH)),init,init-arm64).ext4
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'

##@ Use

run: build ## install what is needed, build, start the app, bring an example project up and show it answering
	go run ./tests/demo -skerry bin/skerry app/examples/hello/skerry.toml

stop: ## stop the app that `make run` has started
	bin/skerry app quit

##@ Build

build: bin/skerry $(KERNEL) bin/init.ext4 ## build the program, the kernel and the init image into bin/

.PHONY: bin/skerry bin/vminitd $(KERNEL) # go and the kernel's cache know better what is up to date
bin/skerry: deps
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $@ ./app

bin/vminitd:
	GOOS=linux $(STATIC) -tags grpcnotrace -o $@ ./guest/vminitd

bin/init.ext4: bin/vminitd
	go run ./guest/cmd/mkinit $< $@

$(KERNEL): deps
	kernel/build.sh $(BZIMAGE:%=-z %) $@

ifneq ($(ARCH),arm64)
.PHONY: $(MAC_KERNEL) bin/vminitd-arm64
$(MAC_KERNEL):
	packaging/debian/deps.sh foreign
	kernel/build.sh arm64 $@

bin/vminitd-arm64:
	GOOS=linux GOARCH=arm64 $(STATIC) -tags grpcnotrace -o $@ ./guest/vminitd

$(MAC_INIT): bin/vminitd-arm64
	go run ./guest/cmd/mkinit $< $@
endif

# What goes into Skerry.app beside the program is made on Linux: kernel, init image, and an emulator for the programs of the
# other processor. Before Debian 13 the static ones have a package of their own.
bin/mac/arm64/translators/qemu-x86_64 bin/mac/amd64/translators/qemu-aarch64:
	arch=$(word 3,$(subst /, ,$@)); packaging/debian/foreign.sh $$arch qemu-user-static usr/bin/$(@F)-static $@ || \
		packaging/debian/foreign.sh $$arch qemu-user usr/bin/$(@F) $@

mac-files: build $(MAC_KERNEL) $(MAC_INIT) bin/mac/arm64/translators/qemu-x86_64 $(BZIMAGE:%=bin/mac/amd64/translators/qemu-aarch64) ## on Linux: make what a Mac needs for `make app`, in bin/mac
	cp $(MAC_KERNEL) bin/mac/arm64/Image
	cp $(MAC_INIT) bin/mac/arm64/init.ext4
ifneq ($(BZIMAGE),)
	cp $(BZIMAGE) bin/init.ext4 bin/mac/amd64
endif

APP_ARCH := $(if $(filter arm64,$(ARCH)),arm64,amd64)
app: ## on a Mac: build bin/Skerry.app, with what `make mac-files` has made, in bin/ here, and sign it
	go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/skerry ./app
	rm -rf bin/Skerry.app
	go run ./packaging/bundle -program bin/skerry -kernel $(KERNEL) -init bin/init.ext4 -translators bin/translators -arch $(APP_ARCH) -version $(VERSION) -o bin/Skerry.app
	packaging/macos/sign.sh bin/Skerry.app

verify-app: ## on a Mac: have the system judge the signature of bin/Skerry.app, and read the entitlement back
	packaging/macos/verify.sh bin/Skerry.app

release-app: app ## on a Mac: notarize bin/Skerry.app and make the disk image and the zip of it
	packaging/macos/release.sh bin/Skerry.app $(VERSION)

app-linux: build ## build the .deb and the tarball into bin/
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0) \
		go run ./packaging/linux -program bin/skerry -kernel $(KERNEL) -init bin/init.ext4 -version $(VERSION) -o bin

deps: ## install the Debian packages that building and running need
	packaging/debian/deps.sh

generate: ## write the generated code anew
	go generate ./...

clean: ## delete bin/ (the kernels stay in the cache)
	rm -rf bin

##@ Check

# What tests of whole machines find their files by.
TEST_FILES = SKERRY_TEST_KERNEL=$(abspath $(KERNEL)) SKERRY_TEST_INIT=$(abspath bin/init.ext4) \
	SKERRY_TEST_KERNEL_ARM64=$(abspath $(MAC_KERNEL)) SKERRY_TEST_INIT_ARM64=$(abspath $(MAC_INIT)) \
	SKERRY_TEST_TRANSLATORS_ARM64=$(abspath bin/mac/arm64/translators) SKERRY_TEST_BZIMAGE=$(abspath $(BZIMAGE)) \
	SKERRY_TEST_BUSYBOX_ARM64=$(abspath bin/busybox-arm64) SKERRY_TEST_POSTGRES=$(abspath bin/postgres.tar)

ifeq ($(shell uname -s),Darwin)
test: # the driver's machines boot the kernel that lies in bin/; the packages are those of the workflow
	go test ./app/... ./registry/... ./engine/network/... ./engine/logfile/... ./engine/nbd ./engine/translate ./engine/vm ./engine/vm/console ./packaging/bundle ./packaging/licences
	SKERRY_TEST_KERNEL=$(abspath $(KERNEL)) go test -count=1 -exec "$(CURDIR)/packaging/macos/signed.sh" ./engine/vm/vz
else
test: build lint test-files ## run every test, with real machines; fails if one is skipped
	set -o pipefail; $(TEST_FILES) go test -timeout 45m -json ./... | go run ./tests/gate -whole
endif

acceptance: build test-files ## print which of the scenarios that Apple tests pass here
	set -o pipefail; $(TEST_FILES) go test -timeout 30m -json ./tests ./engine/agent | go run ./tests/gate -table

test-files: mac-files
	packaging/debian/deps.sh test
	packaging/debian/foreign.sh arm64 busybox-static bin/busybox bin/busybox-arm64
	packaging/debian/rootfs.sh bin/postgres.tar postgresql perl-base dash coreutils util-linux

screenshots: build ## take pictures of the menu in a real panel, for the README
	packaging/debian/deps.sh pictures
	tests/screenshots/shoot.sh bin/skerry app/docs/pictures

race: build ## run the tests of the parts that need no machines under the race detector
	go test -race ./engine ./engine/logfile ./engine/network ./engine/seccomp ./engine/sharefs ./engine/vhostuser ./registry/... ./ext4/... ./app/...

lint: ## format, vet and staticcheck, for linux and for darwin
	packaging/debian/deps.sh lint
	packaging/lint.sh

##@ Measure

bench-start: build ## print how long a container takes to start, against a bare QEMU
	go run ./tests/benchstart -skerry bin/skerry -kernel $(KERNEL)

bench-ext4: ## print what making an ext4 file system of layers takes, against other ways; needs root
	packaging/debian/deps.sh ext4
	go run ./tests/benchext4

prove-ext4: ## compare images of the same layers, a whole Debian, with the kernel's overlayfs; needs root
	packaging/debian/deps.sh ext4
	GOFLAGS="-buildvcs=false -tags=containers_image_openpgp,inputs" go test -run TestInputs -count=1 -timeout 60m -v ./tests/benchext4

bench-guest: build ## print what an exec takes against a fork in the machine, and what the agent holds after thousands
	$(TEST_FILES) go test -run '^$$' -bench BenchmarkExec -benchtime 5000x -timeout 60m ./engine/agent

bench-idle: build ## print what the app itself takes while three containers do nothing, for five minutes
	go run ./tests/benchidle -skerry bin/skerry

bench: bench-start bench-guest bench-ext4 ## measure all that needs nothing from elsewhere

bench-kernel: ## print how fast the kernel boots, against the configuration in PEER_CONFIG
	go run ./kernel/bench

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

.PHONY: run stop build mac-files app verify-app release-app app-linux deps generate clean test test-files race lint screenshots bench-idle acceptance bench bench-start bench-guest bench-ext4 prove-ext4 bench-kernel help
