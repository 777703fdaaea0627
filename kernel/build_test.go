//go:build linux

// Package kernel_test runs build.sh on a source of a few lines that answers to the same make targets as Linux, and
// reads the fragments as a person would: is an option there twice, does a list name what no fragment has?
package kernel_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// fakeMakefile appends a line to $BUILDS for every build, drops the option $LOSE from the configuration, and fails
// where $BREAK is set.
const fakeMakefile = `
kernelversion:
	@echo 6.12.0
allnoconfig:
	grep -v "^$(or $(LOSE),nothing)=" $(KCONFIG_ALLCONFIG) > .config
olddefconfig:
	@true
bzImage: vmlinux
	mkdir -p arch/x86/boot
	echo compressed > arch/x86/boot/bzImage
vmlinux Image:
	echo built >> $(BUILDS)
	test -z "$(BREAK)" || { echo "drivers/thing.c: error: broken" ; exit 1; }
	mkdir -p arch/arm64/boot
	echo "int main(void) { return 0; }" | $(CROSS_COMPILE)gcc -o vmlinux -x c -
	cp vmlinux arch/arm64/boot/Image
`

const fakeKconfig = "config FUTEX\n\tbool\n"

type builder struct {
	t      *testing.T
	env    []string
	builds string // file with a line for every build
	script string
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	if _, err := exec.LookPath("flex"); err != nil {
		t.Skip("flex is absent: install the packages that kernel/README.md names")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "linux-6.12")
	write(t, filepath.Join(source, "Makefile"), fakeMakefile)
	write(t, filepath.Join(source, "Kconfig"), fakeKconfig)
	tarball := filepath.Join(dir, "linux.tar")
	if out, err := exec.Command("tar", "-cf", tarball, "-C", dir, "linux-6.12").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	script, err := filepath.Abs("build.sh")
	if err != nil {
		t.Fatal(err)
	}
	builds := filepath.Join(dir, "builds")
	env := append(os.Environ(), "KERNEL_SRC="+tarball, "BUILDS="+builds,
		"XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "TMPDIR="+dir)
	return &builder{t: t, env: env, builds: builds, script: script}
}

// run returns the exit status and what the script said. It runs in another directory than the script's.
func (b *builder) run(env []string, args ...string) (int, string) {
	b.t.Helper()
	cmd := exec.Command(b.script, args...)
	cmd.Dir = filepath.Dir(b.builds)
	cmd.Env = append(append([]string{}, b.env...), env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	var status *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &status) {
		b.t.Fatal(err)
	}
	if strings.Contains(said.String(), "apt-get install") {
		b.t.Skip(said.String())
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

func (b *builder) count() int {
	text, err := os.ReadFile(b.builds)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// leftovers are the script's directories for source and objects.
func (b *builder) leftovers() []string {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(b.builds), "skerry-kernel.*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func TestBuildOnceThenFromCache(t *testing.T) {
	b := newBuilder(t)
	for i, output := range []string{"first", "deep/er/second"} {
		if status, said := b.run(nil, output); status != 0 {
			t.Fatalf("run %d: status %d: %s", i, status, said)
		}
		kernel, err := os.ReadFile(filepath.Join(filepath.Dir(b.builds), output))
		if err != nil || !bytes.HasPrefix(kernel, []byte("\x7fELF")) {
			t.Fatalf("run %d: output %q: %v", i, kernel[:min(4, len(kernel))], err)
		}
	}
	if b.count() != 1 {
		t.Errorf("built %d times, want once", b.count())
	}
	if left := b.leftovers(); left != nil {
		t.Errorf("left behind %v", left)
	}
	configs, err := filepath.Glob(filepath.Join(filepath.Dir(b.builds), "cache/skerry/kernel/*/config"))
	if err != nil || len(configs) != 1 {
		t.Errorf("configurations in the cache: %v, %v; want one", configs, err)
	}
}

func TestBothForms(t *testing.T) {
	b := newBuilder(t)
	for range 2 { // built, and from the cache
		if status, said := b.run(nil, "-z", "mac/bzImage", "x86_64", "vmlinux"); status != 0 {
			t.Fatalf("status %d: %s", status, said)
		}
		compressed := filepath.Join(filepath.Dir(b.builds), "mac/bzImage")
		if text, err := os.ReadFile(compressed); err != nil || string(text) != "compressed\n" {
			t.Errorf("the bzImage is %q, %v", text, err)
		}
		if err := os.RemoveAll(filepath.Dir(compressed)); err != nil {
			t.Fatal(err)
		}
	}
	if b.count() != 1 {
		t.Errorf("built %d times, want once", b.count())
	}
}

func TestConcurrentBuildsShareOne(t *testing.T) {
	b := newBuilder(t)
	var wait sync.WaitGroup
	for _, output := range []string{"a", "b", "c"} {
		wait.Go(func() {
			if status, said := b.run(nil, output); status != 0 {
				t.Errorf("%s: status %d: %s", output, status, said)
			}
		})
	}
	wait.Wait()
	if b.count() != 1 {
		t.Errorf("built %d times, want once", b.count())
	}
}

func TestBuildFailures(t *testing.T) {
	for _, test := range []struct {
		name   string
		env    []string
		args   []string
		status int
		says   string
	}{
		{"option known but lost", []string{"LOSE=CONFIG_FUTEX"}, []string{"out"}, 1, "lost: CONFIG_FUTEX=y (have: dependencies not met)"},
		{"option unknown", []string{"LOSE=CONFIG_EPOLL"}, []string{"out"}, 1, "lost: CONFIG_EPOLL=y (linux 6.12.0 does not know it"},
		{"compiler error", []string{"BREAK=1"}, []string{"out"}, 1, "drivers/thing.c: error: broken"},
		{"no source", []string{"KERNEL_SRC=/nowhere.tar"}, []string{"out"}, 1, "/nowhere.tar: no such tarball"},
		{"no output", nil, nil, 2, "usage:"},
		{"unknown architecture", nil, []string{"mips", "out"}, 1, "unknown architecture mips"},
		{"bzImage for arm64", nil, []string{"-z", "bz", "arm64", "out"}, 1, "-z: only our own x86_64 kernel"},
		{"bzImage of another configuration", nil, []string{"-c", "/etc/hostname", "-z", "bz", "x86_64", "out"}, 1, "-z: only our own x86_64 kernel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			status, said := b.run(test.env, test.args...)
			if status != test.status || !strings.Contains(said, test.says) {
				t.Errorf("status %d, want %d; said %q, want %q in it", status, test.status, said, test.says)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(b.builds), "out")); err == nil {
				t.Error("wrote its output all the same")
			}
			if left := b.leftovers(); left != nil {
				t.Errorf("left behind %v", left)
			}
		})
	}
}

func TestVersionDependentOptionMayBeUnknown(t *testing.T) {
	b := newBuilder(t)
	status, said := b.run([]string{"LOSE=CONFIG_MITIGATION_TSA"}, "x86_64", "out")
	if status != 0 || !strings.Contains(said, "note: linux 6.12.0 does not know CONFIG_MITIGATION_TSA") {
		t.Errorf("status %d, said %q", status, said)
	}
}

func TestFragmentsNameEachOptionOnce(t *testing.T) {
	option := regexp.MustCompile(`(?m)^(?:# )?(CONFIG_\w+)(?:=| is not set)`)
	common := names(t, option, "config/common.fragment")
	listed := names(t, regexp.MustCompile(`(?m)^(CONFIG_\w+)`), "config/version-dependent")
	everywhere := append([]string{}, common...)
	for _, arch := range []string{"x86_64", "arm64"} {
		own := names(t, option, "config/"+arch+".fragment")
		everywhere = append(everywhere, own...)
		seen := make(map[string]bool)
		for _, name := range append(append([]string{}, common...), own...) {
			if seen[name] {
				t.Errorf("%s: %s is named twice", arch, name)
			}
			seen[name] = true
		}
	}
	all := strings.Join(everywhere, "\n") + "\n"
	for _, name := range listed {
		if !strings.Contains(all, name+"\n") {
			t.Errorf("config/version-dependent lists %s, which no fragment names", name)
		}
	}
}

func names(t *testing.T, pattern *regexp.Regexp, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range pattern.FindAllSubmatch(text, -1) {
		found = append(found, string(match[1]))
	}
	if len(found) == 0 {
		t.Fatalf("%s names no option", path)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
