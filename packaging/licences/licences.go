// Package licences gathers what has to go along with the program: the licence of
// every module that is in it, and where the guest kernel's source is.
package licences

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/packaging/tree"
)

// Module is one of those that the program is built from.
type Module struct {
	Path, Version string
	Dir           string // its source
	Files         []string
}

// named is how files with a licence are called.
var named = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// Modules lists what is linked into packages as they are built for a platform,
// Go's own library too. A module without a licence is an error.
func Modules(goos, goarch string, packages ...string) ([]Module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module,Standard"}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[goos == "darwin"])
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	goroot, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(goroot)), "\n")
	modules := map[string]Module{"go": {Path: "go", Version: strings.TrimPrefix(version, "go"), Dir: root}}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var listed struct {
			Module *struct {
				Module
				Main bool
			}
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read go list's answer: %w", err)
		}
		if m := listed.Module; m != nil && !m.Main {
			modules[m.Path] = m.Module
		}
	}
	return read(modules)
}

func read(modules map[string]Module) (all []Module, err error) {
	for _, m := range modules {
		entries, err := os.ReadDir(m.Dir)
		if err != nil {
			return nil, fmt.Errorf("look for the licence of %s: %w", m.Path, err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && named.MatchString(e.Name()) {
				m.Files = append(m.Files, e.Name())
			}
		}
		if m.Files == nil {
			return nil, fmt.Errorf("%s %s has no licence in %s: it may not be passed on", m.Path, m.Version, m.Dir)
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// LayOut writes the licences of modules and the kernel's, with its configuration
// and the way to build it, below dir of a tree. It runs in the source's root.
func LayOut(t *tree.Tree, dir, kernel string, modules []Module) error {
	for _, m := range modules {
		for _, file := range m.Files {
			t.Copy(filepath.Join(dir, m.Path, file), filepath.Join(m.Dir, file), 0o644)
		}
	}
	t.Copy(filepath.Join(dir, "skerry", "LICENSE"), "LICENSE", 0o644)
	offer, err := kernelOffer(kernel)
	if err != nil {
		return err
	}
	linux := filepath.Join(dir, "linux")
	t.Write(filepath.Join(linux, "SOURCE"), []byte(offer))
	sources, err := filepath.Glob("kernel/config/*")
	if err != nil {
		return err
	}
	for _, source := range append(sources, "kernel/build.sh") {
		t.Copy(filepath.Join(linux, source), source, 0o644)
	}
	return t.Err()
}

// banner is the line that every kernel says of itself.
var banner = regexp.MustCompile(`Linux version ([0-9][^ ]*) [^\n\x00]*`)

// A bzImage is compressed and says of itself in its header which kernel it is
// (Linux, Documentation/arch/x86/boot.rst: header, kernel_version).
const (
	setupMagic   = 0x202
	setupVersion = 0x20e // 16 bits: where the version is, less 0x200
)

// kernelBanner finds what a kernel says of itself, and its version in that.
func kernelBanner(image []byte) (text, version []byte) {
	if found := banner.FindSubmatch(image); found != nil {
		return bytes.TrimSpace(found[0]), found[1]
	}
	if len(image) < setupVersion+2 || string(image[setupMagic:setupMagic+4]) != "HdrS" {
		return nil, nil
	}
	at := 0x200 + int(binary.LittleEndian.Uint16(image[setupVersion:]))
	if at >= len(image) {
		return nil, nil
	}
	text, _, _ = bytes.Cut(image[at:], []byte{0})
	version, _, _ = bytes.Cut(text, []byte(" "))
	return text, version
}

// kernelOffer tells where the source of this very kernel is.
func kernelOffer(kernel string) (string, error) {
	image, err := os.ReadFile(kernel)
	if err != nil {
		return "", fmt.Errorf("read the kernel: %w", err)
	}
	text, version := kernelBanner(image)
	if len(version) == 0 {
		return "", fmt.Errorf("%s does not say which Linux it is", kernel)
	}
	return fmt.Sprintf(`The guest kernel %s is Linux, licensed under the GNU General Public License, version 2,
with the Linux syscall note. It is built from unchanged sources.

version  %s
banner   %s
sha256   %x

The source is Debian's package linux-source-6.12 of that version. Its tarball is published beside each release of Skerry
under the name linux-source.tar.xz, for as long as the release is. Beside this file lie the configuration, kernel/config,
and the program that builds it:

    KERNEL_SRC=linux-source.tar.xz kernel/build.sh
`, filepath.Base(kernel), version, text, sha256.Sum256(image)), nil
}

// packaged is what QEMU's programs say of the package that they are from.
var packaged = regexp.MustCompile(`(?:Debian|Ubuntu) ([0-9]+:[0-9][0-9A-Za-z.+~:-]*)`)

// QEMU tells below dir of a tree what QEMU's emulators are licensed under and where
// their source is. They are taken from Debian as they are.
func QEMU(t *tree.Tree, dir string, emulators []string) error {
	offer := `QEMU's user mode emulators, which run programs for other processors in the machines, are licensed under the GNU General
Public License, version 2 (COPYING in QEMU's source). They are taken unchanged from the Debian package whose version they
say; that is linked with the GNU C library, GLib and others, under the GNU Lesser General Public License. The source is
published beside each release of Skerry under the name qemu-source.tar, for as long as the release is.

`
	for _, path := range emulators {
		program, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read an emulator: %w", err)
		}
		found := packaged.FindSubmatch(program)
		if found == nil {
			return fmt.Errorf("%s does not say which package of QEMU it is from", path)
		}
		offer += fmt.Sprintf("program  %s\nversion  %s\nsha256   %x\n\n", filepath.Base(path), found[1], sha256.Sum256(program))
	}
	t.Write(filepath.Join(dir, "qemu", "SOURCE"), []byte(offer))
	return t.Err()
}
