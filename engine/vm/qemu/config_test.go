//go:build linux

package qemu

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// fakeKernel writes a file that passes for a kernel of the host's architecture.
func fakeKernel(t *testing.T) string {
	t.Helper()
	content := pvhKernel(elf.EM_X86_64, xenNotePVH32)
	if runtime.GOARCH == "arm64" {
		content = arm64Image("ARM\x64")
	}
	path := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pvhKernel is an ELF file of nothing but notes: one that is skipped and one
// that says where to enter.
func pvhKernel(machine elf.Machine, kind uint32) []byte {
	var notes bytes.Buffer
	for _, n := range []struct {
		name string
		kind uint32
	}{{"GNU\x00", 3}, {"Xen\x00", kind}} {
		binary.Write(&notes, binary.LittleEndian, []uint32{4, 6, n.kind})
		notes.WriteString(n.name + "abcdef\x00\x00")
	}
	const headerSize, progSize = 64, 56
	var f bytes.Buffer
	binary.Write(&f, binary.LittleEndian, elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Phoff: headerSize, Ehsize: headerSize, Phentsize: progSize, Phnum: 1,
	})
	binary.Write(&f, binary.LittleEndian, elf.Prog64{
		Type: uint32(elf.PT_NOTE), Off: headerSize + progSize, Filesz: uint64(notes.Len()), Memsz: uint64(notes.Len()),
	})
	f.Write(notes.Bytes())
	return f.Bytes()
}

func arm64Image(magic string) []byte {
	image := make([]byte, 4096)
	copy(image[arm64MagicOffset:], magic)
	return image
}

func TestKernelCheck(t *testing.T) {
	bzImage := make([]byte, 4096)
	copy(bzImage[0x202:], "HdrS")
	good := pvhKernel(elf.EM_X86_64, xenNotePVH32)
	for name, test := range map[string]struct {
		arch    string
		content []byte
		want    string // empty for none
	}{
		"vmlinux":       {"amd64", good, ""},
		"bzImage":       {"amd64", bzImage, "bzImage"},
		"no PVH":        {"amd64", pvhKernel(elf.EM_X86_64, 1), "CONFIG_PVH"},
		"other machine": {"amd64", pvhKernel(elf.EM_AARCH64, xenNotePVH32), "EM_AARCH64"},
		"cut short":     {"amd64", good[:len(good)-20], "notes"},
		"empty":         {"amd64", nil, "ELF"},
		"Image":         {"arm64", arm64Image("ARM\x64"), ""},
		"gzip":          {"arm64", arm64Image("\x1f\x8b.."), "Image"},
		"tiny":          {"arm64", []byte("MZ"), "Image"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kernel")
			if err := os.WriteFile(path, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			b := boards[test.arch]
			err := b.checkKernel(path)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q in it", err, test.want)
			}
		})
	}
}

// TestNotes feeds what no linker writes.
func TestNotes(t *testing.T) {
	word := func(v ...uint32) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, x)
		}
		return b
	}
	for name, notes := range map[string][]byte{
		"empty":           nil,
		"header cut":      word(4, 4),
		"name too long":   append(word(0xffffffff, 0, 18), "Xen\x00"...),
		"no room to next": append(word(4, 0xfffffff0, 1), "Xen\x00"...),
	} {
		if hasNote(notes, xenNoteName, xenNotePVH32) {
			t.Errorf("%s: found", name)
		}
	}
}

func TestTSC(t *testing.T) {
	const even = "flags\t\t: fpu tsc constant_tsc nonstop_tsc lm\n"
	for name, test := range map[string]struct {
		cpuinfo string
		want    int64
	}{
		"even":            {even + "bogomips\t: 5192.31\n", 2596155},
		"second differs":  {even + "bogomips\t: 4000.00\n\nbogomips\t: 9.00\n", 2000000},
		"not constant":    {"flags\t: tsc nonstop_tsc\nbogomips\t: 5192.31\n", 0},
		"stops":           {"flags\t: tsc constant_tsc\nbogomips\t: 5192.31\n", 0},
		"no frequency":    {even, 0},
		"not a number":    {even + "bogomips\t: fast\n", 0},
		"too slow":        {even + "bogomips\t: 24.00\n", 0},
		"too fast":        {even + "bogomips\t: 99999.00\n", 0},
		"nothing":         {"", 0},
		"arm64's timer":   {"BogoMIPS\t: 48.00\nFeatures\t: fp asimd\n", 0},
		"infinitely fast": {even + "bogomips\t: inf\n", 0},
	} {
		if got := tscKHz(test.cpuinfo); got != test.want {
			t.Errorf("%s: %d kHz, want %d", name, got, test.want)
		}
	}
	if p := tscParameters(filepath.Join(t.TempDir(), "absent")); p != nil {
		t.Errorf("without /proc/cpuinfo: %v", p)
	}
}

func TestKernelParameters(t *testing.T) {
	d := &Driver{board: boards["amd64"], clock: []string{"tsc=reliable"}}
	for _, test := range []struct {
		accel     string
		cpus      int
		want, not string
	}{
		{accelTCG, 1, "tsc=reliable nolapic_timer mitigations=off", ""},
		{accelTCG, 2, "tsc=reliable mitigations=off", "nolapic_timer"},
		{accelKVM, 1, "console=ttyS0", "mitigations=off nolapic_timer tsc=reliable"},
	} {
		m := &Machine{driver: d}
		m.config.CPUs = test.cpus
		m.config.Cmdline = []string{"root=/dev/vda", "quiet=no"}
		got := m.kernelParameters(test.accel)
		for _, p := range strings.Fields(test.want) {
			if !slices.Contains(got, p) {
				t.Errorf("%s with %d CPUs: %v lacks %s", test.accel, test.cpus, got, p)
			}
		}
		for _, p := range strings.Fields(test.not) {
			if slices.Contains(got, p) {
				t.Errorf("%s with %d CPUs: %v has %s", test.accel, test.cpus, got, p)
			}
		}
		if last := got[len(got)-1]; last != "quiet=no" {
			t.Errorf("the machine's own parameters come last, not %s", last)
		}
	}
}

func TestCheckMemory(t *testing.T) {
	for content, ok := range map[string]bool{
		"MemTotal: 1 kB\nMemAvailable:    8000000 kB\n": true,
		"MemAvailable:    80000 kB\n":                   false,
		"MemFree: 1 kB\n":                               false,
	} {
		path := filepath.Join(t.TempDir(), "meminfo")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if f := checkMemory(path); f.OK != ok {
			t.Errorf("%q: %+v", content, f)
		}
	}
	if f := checkMemory("/nonexistent"); f.OK || f.Fix == "" {
		t.Errorf("without meminfo: %+v", f)
	}
}

func TestCheckBinary(t *testing.T) {
	for output, ok := range map[string]bool{
		"QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg)": true,
		"QEMU emulator version 10.0.2":                     true,
		"QEMU emulator version 6.2.0":                      false,
		"QEMU emulator version 7.1.0":                      false,
		"something else":                                   false,
	} {
		d := &Driver{binary: script(t, fmt.Sprintf("echo '%s'", output)), board: boards["amd64"]}
		if f := d.checkBinary(t.Context()); f.OK != ok || f.OK != (f.Fix == "") {
			t.Errorf("%s: %+v", output, f)
		}
	}
}
