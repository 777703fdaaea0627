//go:build linux

package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Dir is where disks are mounted in the machine, each below its serial.
const Dir = "/run/disks"

// Path is where a disk is mounted.
func Path(serial string) string { return filepath.Join(Dir, filepath.Base(serial)) }

// Pool mounts each disk once for all containers that use it. The zero value is
// ready for use.
type Pool struct {
	mu    sync.Mutex
	users map[string]int // by serial
}

// Use mounts a disk with a file system of a type that the kernel has, empty for
// ext4, at its Path, unless it is mounted. A disk that cannot be written to is
// mounted read-only.
func (p *Pool) Use(kind, serial string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[serial] == 0 {
		err := mount(kind, serial, Path(serial))
		if errors.Is(err, unix.EROFS) { // what ext4 says when it would have to replay its journal
			err = fmt.Errorf("it was not unmounted cleanly, which only who may write to it can mend: use it once without read-only (%w)", err)
		}
		if err != nil {
			return fmt.Errorf("mount disk %q: %w", serial, err)
		}
	}
	if p.users == nil {
		p.users = map[string]int{}
	}
	p.users[serial]++
	return nil
}

// Release lets go of a disk. When nobody else uses it, it is unmounted, and all
// that was written is on it.
func (p *Pool) Release(ctx context.Context, serial string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[serial]--; p.users[serial] > 0 {
		return nil
	}
	delete(p.users, serial)
	return unmount(ctx, serial, Path(serial))
}

func mount(kind, serial, dir string) error {
	device, err := Find(serial)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fixed, err := readOnly(device)
	if err != nil {
		return err
	}
	flags, options := uintptr(unix.MS_NOATIME), ""
	if fixed {
		flags |= unix.MS_RDONLY
	}
	if kind == "" {
		kind = "ext4"
		if !fixed {
			options = "discard"
		}
	}
	err = unix.Mount(device, dir, kind, flags, options)
	if errors.Is(err, unix.EINVAL) && kind == "ext4" && !hasExt4(device) {
		return errNoExt4
	}
	return err
}

// errNoExt4 says what a disk lacks that is to be mounted. mount(2) says of it
// what it says of a hundred other things.
var errNoExt4 = errors.New(`there is no ext4 file system on it: make one where the disk is kept, such as with "mkfs.ext4", which deletes what is on it`)

// hasExt4 tells whether a device has a superblock of ext4 (ext4/format has all of
// it; Documentation/filesystems/ext4/super.rst). One that cannot be read may
// have.
func hasExt4(device string) bool {
	const superblock, magicOffset = 1024, 0x38
	f, err := os.Open(device)
	if err != nil {
		return true
	}
	defer f.Close()
	magic := make([]byte, 2)
	_, err = f.ReadAt(magic, superblock+magicOffset)
	return err != nil && err != io.EOF || binary.LittleEndian.Uint16(magic) == 0xEF53
}

func readOnly(device string) (bool, error) {
	data, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(device), "ro"))
	return strings.TrimSpace(string(data)) == "1", err
}
