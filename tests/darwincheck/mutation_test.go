package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// driver is the package whose files the test gets wrong: the only one that
// calls vz.
const driver = "../../engine/vm/vz"

// mutations are mistakes that a compiler on a Mac finds. Each changes the only,
// or the first, place where a text is.
var mutations = []struct {
	name, file, old, new string
	says                 string
}{
	{"arguments in the wrong order", "config_darwin.go", "p.cpus, p.memory", "p.memory, p.cpus", "cannot use p.memory"},
	{"constants in the wrong order", "config_darwin.go",
		"vz.DiskImageCachingModeCached, vz.DiskImageSynchronizationModeFsync",
		"vz.DiskImageSynchronizationModeFsync, vz.DiskImageCachingModeCached", "cannot use vz.DiskImageSynchronizationModeFsync"},
	{"constant of another type", "config_darwin.go", "vz.DiskImageSynchronizationModeFsync", "vz.DiskSynchronizationModeFull",
		"cannot use vz.DiskSynchronizationModeFull"},
	{"constant that is not there", "machine_darwin.go", "vz.VirtualMachineStateStopped", "vz.VirtualMachineStateEnded",
		"undefined: vz.VirtualMachineStateEnded"},
	{"method that is not there", "machine_darwin.go", "m.vm.StateChangedNotify()", "m.vm.StateChanged()", "m.vm.StateChanged undefined"},
	{"method of another signature", "machine_darwin.go", "call(ctx, m.vm.Stop)", "call(ctx, m.vm.RequestStop)", "cannot use m.vm.RequestStop"},
	{"result that is forgotten", "config_darwin.go", "ok, err := config.Validate()", "err := config.Validate()", "assignment mismatch"},
	{"argument too many", "rosetta_darwin_arm64.go", "NewLinuxRosettaDirectoryShare()", "NewLinuxRosettaDirectoryShare(vm.RosettaTag)",
		"too many arguments"},
	{"value of another type", "config_darwin.go", "vz.NewMACAddress(n.MAC)", "vz.NewMACAddress(n.MAC.String())", "cannot use n.MAC.String()"},
	{"share that is none", "config_darwin.go", "device.SetDirectoryShare(share)", "device.SetDirectoryShare(directories)", "cannot use directories"},
	{"field of another type", "driver_darwin.go", "code: e.Code", "code: e.Domain", "cannot use e.Domain"},
	{"interface that is not met", "machine_darwin.go", "func (m *machine) Resume(", "func (m *machine) Continue(", "missing method Resume"},
	{"purego's function of another type", "socket_darwin.go", "dispatchAsync(s.queue, block)", "dispatchAsync(block, s.queue)", "cannot use block"},
}

// nursery makes a place for mutants: go list wants packages inside the module,
// and ... does not look below testdata.
func nursery(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("testdata", "mutant-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	return root
}

// TestArchitectures uses a function that vz has for Apple silicon only in a file
// for both.
func TestArchitectures(t *testing.T) {
	const name = "vz.LinuxRosettaDirectoryShareAvailability"
	mutant := plant(t, nursery(t), "both", "driver_darwin.go", "return hostRosetta()", "_ = "+name+"(); return hostRosetta()")
	if out, bad := output(t, "arm64", mutant); bad != 0 {
		t.Errorf("arm64:\n%s", out)
	}
	if out, _ := output(t, "amd64", mutant); !strings.Contains(out, "undefined: "+name) {
		t.Errorf("amd64: no error says that there is no %s; said was:\n%s", name, out)
	}
}

// TestMutations wants every mistake in the driver reported, and none without.
func TestMutations(t *testing.T) {
	root := nursery(t)
	patterns := []string{plant(t, root, "none", "", "", "")}
	for i, m := range mutations {
		patterns = append(patterns, plant(t, root, fmt.Sprint(i), m.file, m.old, m.new))
	}
	out, _ := output(t, "arm64", patterns...)
	lines := strings.Split(out, "\n")
	if said := about(lines, patterns[0]); said != "" {
		t.Errorf("unchanged, it has errors:\n%s", said)
	}
	for i, m := range mutations {
		if said := about(lines, patterns[i+1]); !strings.Contains(said, m.says) {
			t.Errorf("%s: no error says %q; said was:\n%s", m.name, m.says, said)
		}
	}
}

// plant copies the driver, with a text in one of its files replaced, and returns
// the pattern for the copy.
func plant(t *testing.T, root, name, file, old, replacement string) string {
	t.Helper()
	dir := filepath.Join(root, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob(driver + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := file == ""
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if filepath.Base(path) == file {
			found = strings.Contains(text, old)
			text = strings.Replace(text, old, replacement, 1)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("%s does not say %q: change the mutation with it", file, old)
	}
	return "./" + dir
}

// about returns the lines that are about a package.
func about(lines []string, pattern string) string {
	dir := strings.TrimPrefix(pattern, "./") + "/"
	var said []string
	for _, line := range lines {
		if strings.Contains(line, dir) {
			said = append(said, line)
		}
	}
	return strings.Join(said, "\n")
}
