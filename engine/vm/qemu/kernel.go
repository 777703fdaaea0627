//go:build linux

package qemu

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// checkKernel refuses a kernel that QEMU would start and that would then say
// nothing, such as a compressed one.
func (b *board) checkKernel(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("kernel: %w", err)
	}
	defer f.Close()
	if err := b.check(f); err != nil {
		return fmt.Errorf("kernel %s: %w", path, err)
	}
	return nil
}

// The note by which a kernel says where to enter it (Xen, public/elfnote.h).
const (
	xenNoteName      = "Xen\x00"
	xenNotePVH32     = 18 // XEN_ELFNOTE_PHYS32_ENTRY
	maxNoteSize      = 64 << 10
	noteHeaderSize   = 12
	arm64MagicOffset = 56
)

// checkPVH wants an x86-64 ELF file with a PVH entry point.
func checkPVH(f *os.File) error {
	e, err := elf.NewFile(f)
	if err != nil {
		return errors.New("not an ELF file: an uncompressed vmlinux is needed, not a bzImage")
	}
	if e.Class != elf.ELFCLASS64 || e.Machine != elf.EM_X86_64 {
		return fmt.Errorf("it is for %v, the machine is x86-64", e.Machine)
	}
	for _, p := range e.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > maxNoteSize {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), notes); err != nil {
			return fmt.Errorf("read its notes: %w", err)
		}
		if hasNote(notes, xenNoteName, xenNotePVH32) {
			return nil
		}
	}
	return errors.New("it has no PVH entry point: build it with CONFIG_PVH=y")
}

// hasNote looks for a note in the contents of a PT_NOTE segment: name size,
// descriptor size and type as 32-bit words, then both, each padded to 4 bytes.
func hasNote(notes []byte, name string, kind uint32) bool {
	le := binary.LittleEndian
	for len(notes) >= noteHeaderSize {
		nameSize, descSize := uint64(le.Uint32(notes)), uint64(le.Uint32(notes[4:]))
		body := notes[noteHeaderSize:]
		if nameSize > uint64(len(body)) {
			return false
		}
		if le.Uint32(notes[8:]) == kind && bytes.Equal(body[:nameSize], []byte(name)) {
			return true
		}
		next := (nameSize+3)&^3 + (descSize+3)&^3
		if next > uint64(len(body)) {
			return false
		}
		notes = body[next:]
	}
	return false
}

// checkImage wants an arm64 boot image (Linux, Documentation/arch/arm64/booting.rst).
func checkImage(f *os.File) error {
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], arm64MagicOffset); err != nil && err != io.EOF {
		return fmt.Errorf("read its header: %w", err)
	}
	if string(magic[:]) != "ARM\x64" {
		return errors.New("not an arm64 Image: an uncompressed one is needed")
	}
	return nil
}
