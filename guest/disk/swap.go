//go:build linux

package disk

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Swap has the kernel swap to a disk, whatever is on it.
func Swap(serial string) error {
	device, err := Find(serial)
	if err != nil {
		return err
	}
	if err := format(device); err != nil {
		return fmt.Errorf("make disk %q swap space: %w", serial, err)
	}
	path, err := unix.BytePtrFromString(device)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SWAPON, uintptr(unsafe.Pointer(path)), 0, 0); errno != 0 {
		return fmt.Errorf("swap to disk %q: %w", serial, errno)
	}
	return nil
}

// format writes union swap_header (linux/swap.h) to the first page.
func format(device string) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const info, magic = 1024, "SWAPSPACE2"
	page := make([]byte, os.Getpagesize())
	binary.NativeEndian.PutUint32(page[info:], 1) // version
	binary.NativeEndian.PutUint32(page[info+4:], uint32(size/int64(len(page))-1))
	copy(page[len(page)-len(magic):], magic)
	if _, err := f.WriteAt(page, 0); err != nil {
		return err
	}
	return f.Sync()
}
