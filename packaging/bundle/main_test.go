package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

// TestBundle walks a bundle for arm64. The program cannot be built for macOS
// without a Mac, since vz and systray are part Objective-C: a script that
// takes its arguments stands in for it.
func TestBundle(t *testing.T) {
	t.Chdir("../..")
	dir := t.TempDir()
	program, kernel, init := filepath.Join(dir, "skerry"), filepath.Join(dir, "kernel"), filepath.Join(dir, "init")
	for path, text := range map[string]string{program: "#!/bin/sh\necho \"$@\"\n", filepath.Join(dir, "qemu-x86_64"): "QEMU (Debian 1:7.2+dfsg-7+deb12u18+b3)", kernel: "\x00Linux version 6.12.1-skerry (a@b)\n\x00", init: "ext4"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	o := options{program: program, runnable: program, kernel: kernel, init: init, translators: dir, arch: "arm64", version: "v1.2.3-4-gabc", output: filepath.Join(dir, "Skerry.app")}
	if err := layOut(o); err != nil {
		t.Fatal(err)
	}
	contents := filepath.Join(o.output, "Contents")

	var files []string
	err := filepath.WalkDir(contents, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(contents, path)
		if !strings.HasPrefix(name, "Resources/licences/") {
			files = append(files, name)
		}
		info, err := os.Stat(path) // through links: none may dangle
		if err != nil {
			return err
		}
		runs := name == "MacOS/skerry" || name == "Resources/bin/skerry" || name == "Resources/translators/qemu-x86_64"
		if want := map[bool]fs.FileMode{true: 0o755, false: 0o644}[runs]; info.Mode() != want || info.Size() == 0 {
			t.Errorf("%s: mode %v, %d bytes; want %v", name, info.Mode(), info.Size(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Info.plist", "MacOS/skerry", "PkgInfo", "Resources/Image", "Resources/Skerry.icns", "Resources/bin/skerry",
		"Resources/completions/_skerry", "Resources/completions/skerry.bash", "Resources/completions/skerry.fish", "Resources/init.ext4", "Resources/translators/qemu-x86_64"}
	if !slices.Equal(files, want) {
		t.Errorf("the files are %q; want %q", files, want)
	}
	for _, name := range []string{"linux/SOURCE", "linux/kernel/build.sh", "linux/kernel/config/arm64.fragment", "skerry/LICENSE", "go/LICENSE", "github.com/Code-Hex/vz/v3/LICENSE"} {
		if _, err := os.Stat(filepath.Join(contents, "Resources/licences", name)); err != nil {
			t.Error(err)
		}
	}
	offer, err := os.ReadFile(filepath.Join(contents, "Resources/licences/linux/SOURCE"))
	if err != nil || !bytes.Contains(offer, []byte("version  6.12.1-skerry\n")) {
		t.Errorf("the offer of the kernel's source does not name it: %v\n%s", err, offer)
	}
	offer, err = os.ReadFile(filepath.Join(contents, "Resources/licences/qemu/SOURCE"))
	if err != nil || !bytes.Contains(offer, []byte("program  qemu-x86_64\nversion  1:7.2+dfsg-7+deb12u18+b3\n")) {
		t.Errorf("the offer of QEMU's source does not name it: %v\n%s", err, offer)
	}
	if completions, err := os.ReadFile(filepath.Join(contents, "Resources/completions/_skerry")); err != nil || string(completions) != "completion zsh\n" {
		t.Errorf("zsh's completions are %q, %v", completions, err)
	}
	checkInfo(t, filepath.Join(contents, "Info.plist"))
	if err := layOut(o); err == nil {
		t.Error("a bundle was laid out over another")
	}
	o.translators, o.output = t.TempDir(), filepath.Join(dir, "Other.app")
	if err := layOut(o); err == nil || !strings.Contains(err.Error(), "no emulator") {
		t.Errorf("without an emulator: %v", err)
	}
}

func checkInfo(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info := map[string]any{}
	if _, err := plist.Unmarshal(text, &info); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"CFBundleIdentifier": "dev.skerry.Skerry", "CFBundleExecutable": "skerry", "CFBundlePackageType": "APPL", "CFBundleIconFile": "Skerry",
		"CFBundleShortVersionString": "1.2.3", "CFBundleVersion": "1.2.3", "SkerryVersion": "v1.2.3-4-gabc", "LSMinimumSystemVersion": "13.0",
		"LSUIElement": true, "NSHighResolutionCapable": true, "NSSupportsAutomaticTermination": false, "NSSupportsSuddenTermination": false,
	} {
		if info[key] != want {
			t.Errorf("Info.plist: %s is %v; want %v", key, info[key], want)
		}
	}
	if text, _ := info["NSLocalNetworkUsageDescription"].(string); text == "" {
		t.Error("Info.plist does not say what the local network is for")
	}
}

// TestEntitlements has exactly the one that machines need: with a restricted one
// macOS kills the program at its start.
func TestEntitlements(t *testing.T) {
	text, err := os.ReadFile("../../entitlements.plist")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "<!--") {
		t.Error("entitlements.plist has a comment, which codesign calls a syntax error")
	}
	entitlements := map[string]any{}
	if _, err := plist.Unmarshal(text, &entitlements); err != nil {
		t.Fatal(err)
	}
	if len(entitlements) != 1 || entitlements["com.apple.security.virtualization"] != true {
		t.Errorf("the entitlements are %v", entitlements)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"v0.4.1": "0.4.1", "0.4.1": "0.4.1", "v0.4.1-3-gabc-dirty": "0.4.1", "dev": "0.0.0", "bf64ff1": "0.0.0"} {
		got := "0.0.0"
		if found := numbers.FindStringSubmatch(version); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("%s: %s; want %s", version, got, want)
		}
	}
}

func TestUnknownArchitecture(t *testing.T) {
	if err := layOut(options{arch: "riscv64"}); err == nil {
		t.Error("a bundle for riscv64 was laid out")
	}
}
