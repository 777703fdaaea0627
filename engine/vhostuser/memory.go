//go:build linux

package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// maxRegions is the protocol's limit without CONFIGURE_MEM_SLOTS
// (VHOST_MEMORY_BASELINE_NREGIONS).
const maxRegions = 8

// memory is the guest's RAM as the front-end last described it.
type memory []region

// region is a piece of guest memory mapped into this process.
type region struct {
	guest  uint64 // guest physical address
	user   uint64 // address in the front-end's address space
	bytes  []byte // the region itself
	mapped []byte // the mapping it lies in
}

// regionSize is the size of one entry of a memory table; the table starts with
// eight bytes of count and padding.
const regionSize = 32

// mapMemory maps all regions of a SET_MEM_TABLE message or none.
func mapMemory(m *message) (mem memory, err error) {
	if err := m.need(8); err != nil {
		return nil, err
	}
	count := m.u32(0)
	if count > maxRegions {
		return nil, fmt.Errorf("memory table of %d regions, at most %d are supported", count, maxRegions)
	}
	if err := m.need(8 + regionSize*int(count)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			mem.unmap()
		}
	}()
	for i := range int(count) {
		fd, err := m.takeFD()
		if err != nil {
			return mem, err
		}
		r, err := mapRegion(m.payload[8+regionSize*i:], fd)
		unix.Close(fd)
		if err != nil {
			return mem, fmt.Errorf("memory region %d: %w", i, err)
		}
		mem = append(mem, r)
	}
	return mem, nil
}

func mapRegion(entry []byte, fd int) (region, error) {
	r := region{guest: binary.LittleEndian.Uint64(entry), user: binary.LittleEndian.Uint64(entry[16:])}
	size, offset := binary.LittleEndian.Uint64(entry[8:]), binary.LittleEndian.Uint64(entry[24:])
	end := offset + size
	if size == 0 || end < offset || end > math.MaxInt64 || r.guest+size < r.guest || r.user+size < r.user {
		return r, fmt.Errorf("impossible size %#x or offset %#x", size, offset)
	}
	// Reading a mapped page beyond the end of its file is SIGBUS, which kills
	// the process. Only a seal promises that the file never shrinks; QEMU's
	// memory-backend-memfd has it unless told otherwise (seal=on).
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals&unix.F_SEAL_SHRINK == 0 {
		return r, errors.New("not a memfd sealed against shrinking: use memory-backend-memfd")
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return r, fmt.Errorf("stat: %w", err)
	}
	if uint64(st.Size) < end {
		return r, fmt.Errorf("ends at %#x, its file at %#x", end, st.Size)
	}
	start := offset &^ uint64(os.Getpagesize()-1)
	r.mapped, err = unix.Mmap(fd, int64(start), int(end-start), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return r, fmt.Errorf("map %d bytes: %w", end-start, err)
	}
	r.bytes = r.mapped[offset-start:]
	return r, nil
}

func (mem memory) unmap() {
	for _, r := range mem {
		unix.Munmap(r.mapped)
	}
}

// guest returns the n bytes at a guest physical address, nil when no single
// region holds all of them.
func (mem memory) guest(addr, n uint64) []byte {
	for i := range mem {
		if b := mem[i].slice(addr, mem[i].guest, n); b != nil {
			return b
		}
	}
	return nil
}

// user does the same for an address of the front-end.
func (mem memory) user(addr, n uint64) []byte {
	for i := range mem {
		if b := mem[i].slice(addr, mem[i].user, n); b != nil {
			return b
		}
	}
	return nil
}

func (r *region) slice(addr, base, n uint64) []byte {
	size := uint64(len(r.bytes))
	if addr < base || addr-base >= size || n > size-(addr-base) {
		return nil
	}
	at := addr - base
	return r.bytes[at : at+n : at+n]
}
