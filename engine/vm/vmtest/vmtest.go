package vmtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
)

// Subject is a driver under test and what its machines need.
type Subject struct {
	// Driver makes the driver; it is called once.
	Driver func(t *testing.T) vm.Driver
	// Arch is the guests' architecture, as in GOARCH.
	Arch string
	// Kernel is the path of a kernel for that architecture.
	Kernel string
	// Kill ends the hypervisor behind the driver's back. It is nil where the
	// hypervisor has no process of its own.
	Kill func(t *testing.T, m vm.Machine)
	// Nests tells that a machine can run machines here. Where it cannot, New has to
	// say so.
	Nests bool
	// Saves tells that machines can be saved here. Where they cannot, Save has to
	// say so.
	Saves bool
	// State is the name of the file with a saved machine's state.
	State string
	// Keeps is how many goroutines the driver's library never ends of each
	// machine that was made.
	Keeps int
	// KeepsNBD is how many more it never ends of each network block device.
	KeepsNBD int
	// Collected tells that what the driver's library holds is given back when the
	// garbage is collected.
	Collected bool
}

// Kernel returns the kernel that an environment variable names and skips the
// test if there is none.
func Kernel(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("no kernel: set %s to a kernel built by kernel/build.sh", variable)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Run runs the conformance tests.
func Run(t *testing.T, s Subject) {
	x := &suite{Subject: s, driver: s.Driver(t), image: Image(t, s.Arch)}
	t.Logf("driver %s", x.driver.Name())
	t.Run("Check", x.testCheck)
	t.Run("Config", x.testConfig)
	t.Run("Streams", x.testStreams)
	t.Run("Devices", x.testDevices)
	t.Run("Life", x.testLife)
	t.Run("Save", x.testSave)
}

// testCheck wants a diagnosis that can be read.
func (s *suite) testCheck(t *testing.T) {
	findings := s.driver.Check(t.Context())
	if len(findings) == 0 {
		t.Error("no findings")
	}
	for _, f := range findings {
		if f.Subject == "" || f.Detail == "" {
			t.Errorf("finding without subject or detail: %+v", f)
		}
		if f.OK != (f.Fix == "") {
			t.Errorf("a finding has a fix exactly if it is not OK: %+v", f)
		}
	}
}
