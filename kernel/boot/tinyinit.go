package boot

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

//go:embed tinyinit/init.c
var tinyInit []byte

// Hello is the line that TinyInit's program writes to the console.
const Hello = "init runs"

// compilers make programs for another architecture than the host's (Debian's
// gcc-x86-64-linux-gnu and gcc-aarch64-linux-gnu).
var compilers = map[string]string{"x86_64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}

// TinyInit compiles an init of two system calls for "x86_64" or "arm64": it
// says Hello and powers the machine off. What its boot takes is the kernel's.
func TinyInit(ctx context.Context, arch string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "skerry-init-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	compiler := "gcc"
	if arch != hostArch() {
		compiler = compilers[arch]
	}
	output := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, compiler, "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector",
		"-O2", "-s", "-o", output, "-x", "c", "-")
	cmd.Stdin = bytes.NewReader(tinyInit)
	if complaints, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile init for %q with %q: %w\n%s", arch, compiler, err, complaints)
	}
	return os.ReadFile(output)
}

func hostArch() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}
