// Package translate finds programs that run those of another processor. A
// machine's kernel is told of one by binfmt_misc (Linux,
// Documentation/admin-guide/binfmt-misc.rst), and containers need not see it.
package translate

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Translator runs programs of another architecture.
type Translator struct {
	Name    string // "qemu-aarch64"
	Program string // its path on the host; empty for Rosetta, which the host's system brings into the machine
	// Magic and Mask tell the programs that it runs by how they begin.
	Magic, Mask []byte
	Flags       string // of binfmt_misc
	Cache       *Cache // nil: it translates anew each time
	Better      error  // what keeps the host from a faster one, and what to do; nil: nothing does
}

// Cache is a program that keeps what a translator has translated.
type Cache struct {
	Program string // its name beside the translator's
	Socket  string // where the translator looks for it, in containers
}

// architecture is how ELF names a processor, and QEMU.
type architecture struct {
	machine elf.Machine
	class   elf.Class
	data    elf.Data
	qemu    string
}

// architectures are those for which images are common, by Go's name.
var architectures = map[string]architecture{
	"386":     {elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB, "i386"},
	"amd64":   {elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB, "x86_64"},
	"arm":     {elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB, "arm"},
	"arm64":   {elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB, "aarch64"},
	"ppc64le": {elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB, "ppc64le"},
	"riscv64": {elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB, "riscv64"},
	"s390x":   {elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB, "s390x"},
}

// Native tells whether machines of one architecture run programs of another by
// themselves. (For arm on arm64 that depends on the processor: Apple's do not.)
func Native(machine, program string) bool {
	return machine == program || machine == "amd64" && program == "386"
}

// RosettaName is Rosetta's, also of its program.
const RosettaName = "rosetta"

// Rosetta is Apple's translator for amd64, with or without its cache. (Apple,
// "Running Intel Binaries in Linux VMs with Rosetta". That the daemon makes its
// socket elsewhere than it was told, and that containers need the socket, are
// findings of others.)
func Rosetta(cached bool) Translator {
	magic, mask := architectures["amd64"].pattern()
	t := Translator{Name: RosettaName, Magic: magic, Mask: mask, Flags: "OCF"}
	if cached {
		t.Cache = &Cache{Program: "rosettad", Socket: "/run/rosettad/rosetta.sock"}
	}
	return t
}

// QEMU finds QEMU's user mode emulator for programs of an architecture on machines
// of another: in a directory of our own, unless that is empty, then in PATH.
func QEMU(machine, program, own string) (Translator, error) {
	a, ok := architectures[program]
	if !ok {
		return Translator{}, fmt.Errorf("there is no translator for %s", program)
	}
	magic, mask := a.pattern()
	// P keeps argv[0], which QEMU learns of by AT_FLAGS.
	t := Translator{Name: "qemu-" + a.qemu, Magic: magic, Mask: mask, Flags: "POCF"}
	err := exec.ErrNotFound
	if own != "" {
		path := filepath.Join(own, t.Name)
		if err = check(path, machine); err == nil {
			t.Program = path
			return t, nil
		}
	}
	for _, name := range []string{t.Name + "-static", t.Name} {
		var path string
		if path, err = exec.LookPath(name); err != nil {
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			continue
		}
		if err = check(path, machine); err == nil {
			t.Program = path
			return t, nil
		}
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%s-static is not installed (Debian: apt install qemu-user-static)", t.Name)
	}
	return Translator{}, err
}

// check wants a program that runs on the machine without libraries.
func check(path, machine string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	if want := architectures[machine].machine; f.Machine != want {
		return fmt.Errorf("%s is a program for %v, and machines are %s", path, f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs shared libraries: a static one is needed (Debian: apt install qemu-user-static)", path)
		}
	}
	return nil
}

// Where ELF's header has what tells architectures apart (elf(5)).
const (
	abiOffset     = elf.EI_OSABI
	typeOffset    = elf.EI_NIDENT
	machineOffset = typeOffset + 2
	patternSize   = machineOffset + 2
)

// pattern is how executables of the architecture begin, those at a fixed
// address (ET_EXEC, 2) and those without one (ET_DYN, 3).
func (a architecture) pattern() (magic, mask []byte) {
	var order binary.ByteOrder = binary.LittleEndian
	if a.data == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	magic, mask = make([]byte, patternSize), make([]byte, patternSize)
	copy(magic, elf.ELFMAG)
	magic[elf.EI_CLASS], magic[elf.EI_DATA], magic[elf.EI_VERSION] = byte(a.class), byte(a.data), byte(elf.EV_CURRENT)
	order.PutUint16(magic[typeOffset:], uint16(elf.ET_EXEC))
	order.PutUint16(magic[machineOffset:], uint16(a.machine))
	for i := range mask {
		mask[i] = 0xff
	}
	mask[abiOffset] = 0
	order.PutUint16(mask[typeOffset:], uint16(^(elf.ET_EXEC ^ elf.ET_DYN)))
	return magic, mask
}
