package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// resourcesVariable names a directory to look for resources in before all
// others.
const resourcesVariable = "SKERRY_RESOURCES"

// kernelName is what the guest kernel is called, by system and architecture: an
// ELF image that QEMU enters by PVH, the compressed form of it, which is what
// Virtualization.framework is known to take, and arm64's flat image.
var kernelName = map[string]string{
	"linux/amd64": "vmlinux", "darwin/amd64": "bzImage",
	"linux/arm64": "Image", "darwin/arm64": "Image",
}

const (
	initImageName   = "init.ext4"
	translatorsName = "translators"
)

var errNotInstalled = errors.New("is not installed")

// findResource returns the path of a file that is installed with the program:
// beside it (a build tree), in ../lib/skerry (a Linux installation) or in
// ../Resources (an application bundle).
func findResource(name string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own program: %w", err)
	}
	if exe, err = filepath.EvalSymlinks(exe); err != nil {
		return "", fmt.Errorf("find own program: %w", err)
	}
	bin := filepath.Dir(exe)
	dirs := []string{bin, filepath.Join(bin, "..", "lib", "skerry"), filepath.Join(bin, "..", "Resources")}
	if dir := os.Getenv(resourcesVariable); dir != "" {
		dirs = []string{dir}
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find %s: %w", name, err)
		}
	}
	return "", fmt.Errorf("%s %w: looked in %s; run make, or set %s to its directory",
		name, errNotInstalled, strings.Join(dirs, ", "), resourcesVariable)
}

func findKernel() (string, error) {
	name, ok := kernelName[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("no kernel for %s: Skerry runs on amd64 and arm64", runtime.GOARCH)
	}
	return findResource(name)
}

// findTranslators returns the directory with emulators for other processors'
// programs, which the application for the Mac brings along; empty if there is
// none.
func findTranslators() (string, error) {
	dir, err := findResource(translatorsName)
	if errors.Is(err, errNotInstalled) {
		return "", nil
	}
	return dir, err
}
