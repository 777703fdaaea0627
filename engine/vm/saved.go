package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// ErrNotSavable is why a machine cannot be saved, with what is in the way.
var ErrNotSavable = errors.New("the machine cannot be saved")

// savedName is the file that describes a machine beside its state.
const savedName = "machine.json"

// maxSaved bounds that file, in bytes.
const maxSaved = 1 << 20

// Saved describes a machine whose state has been saved: what it can be restored
// by. The state goes with exactly this.
type Saved struct {
	// Driver is the driver with all that its states depend on, such as its version.
	Driver  string
	Kernel  string // SHA-256
	Cmdline []string
	CPUs    int
	Memory  int64 // bytes
	Nested  bool
	Disks   []SavedDisk
	NICs    []SavedNIC
}

// SavedDisk is a disk of a saved machine. What is on it must not change between
// saving and restoring.
type SavedDisk struct {
	Serial   string
	ReadOnly bool
	Size     int64 // bytes
}

// SavedNIC is a network interface of a saved machine.
type SavedNIC struct {
	MAC string
	MTU int
}

// Describe describes a machine that can be saved; the error is ErrNotSavable for
// one that no driver can save.
func Describe(c Config, driver string) (Saved, error) {
	switch {
	case len(c.Shares) > 0:
		return Saved{}, fmt.Errorf("%w: directories of the host are shared with it", ErrNotSavable)
	case c.Rosetta:
		return Saved{}, fmt.Errorf("%w: it has Rosetta", ErrNotSavable)
	case slices.ContainsFunc(c.Disks, func(d Disk) bool { return d.URL != "" }):
		return Saved{}, fmt.Errorf("%w: a network block device may change before it is restored", ErrNotSavable)
	}
	s := Saved{Driver: driver, Cmdline: slices.Clone(c.Cmdline), CPUs: c.CPUs, Memory: c.Memory, Nested: c.Nested}
	var err error
	if s.Kernel, err = sum(c.Kernel); err != nil {
		return Saved{}, err
	}
	for _, d := range c.Disks {
		st, err := os.Stat(d.Path)
		if err != nil {
			return Saved{}, err
		}
		s.Disks = append(s.Disks, SavedDisk{Serial: d.Serial, ReadOnly: d.ReadOnly, Size: st.Size()})
	}
	for _, n := range c.NICs {
		s.NICs = append(s.NICs, SavedNIC{MAC: n.MAC.String(), MTU: n.MTU})
	}
	return s, nil
}

func sum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Restores wants the machine that is described to be the one that was saved. The
// error names what differs.
func (s Saved) Restores(was Saved) error {
	for _, part := range []struct {
		name string
		same bool
	}{
		{"driver is " + s.Driver + " and was " + was.Driver, s.Driver == was.Driver},
		{"kernel is another", s.Kernel == was.Kernel},
		{"kernel's command line is another", slices.Equal(s.Cmdline, was.Cmdline)},
		{fmt.Sprintf("number of CPUs is %d and was %d", s.CPUs, was.CPUs), s.CPUs == was.CPUs},
		{fmt.Sprintf("memory is %d bytes and was %d", s.Memory, was.Memory), s.Memory == was.Memory},
		{"processor's virtualization is another", s.Nested == was.Nested},
		{fmt.Sprintf("disks are %v and were %v", s.Disks, was.Disks), slices.Equal(s.Disks, was.Disks)},
		{fmt.Sprintf("network interfaces are %v and were %v", s.NICs, was.NICs), slices.Equal(s.NICs, was.NICs)},
	} {
		if !part.same {
			return fmt.Errorf("the saved state is of another machine: the %s", part.name)
		}
	}
	return nil
}

// ReadSaved reads what a directory with a saved machine says of it.
func ReadSaved(dir string) (Saved, error) {
	var s Saved
	f, err := os.Open(filepath.Join(dir, savedName))
	if err != nil {
		return s, fmt.Errorf("saved machine: %w", err)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxSaved)).Decode(&s); err != nil {
		return s, fmt.Errorf("saved machine: %s: %w", f.Name(), err)
	}
	return s, nil
}

// WriteSaved makes a directory for a machine that is saved: what write puts there
// is its state. The directory gets its name when all is on the disk; if anything
// fails nothing is left of it.
func WriteSaved(dir string, s Saved, write func(dir string) error) (err error) {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("save the machine: %w", &os.PathError{Op: "mkdir", Path: dir, Err: os.ErrExist})
	}
	parent := filepath.Dir(dir)
	stage, err := os.MkdirTemp(parent, ".tmp-"+filepath.Base(dir)+"-")
	if err != nil {
		return fmt.Errorf("save the machine: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(stage))
		}
	}()
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stage, savedName), text, 0o600); err != nil {
		return fmt.Errorf("save the machine: %w", err)
	}
	if err := write(stage); err != nil {
		return err
	}
	entries, err := os.ReadDir(stage)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncFile(filepath.Join(stage, e.Name())); err != nil {
			return fmt.Errorf("save the machine: %w", err)
		}
	}
	if err := os.Rename(stage, dir); err != nil {
		return fmt.Errorf("save the machine: %w", err)
	}
	return syncFile(parent)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
