package ext4

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// punch makes a range of a file a hole (fallocate(2)). A host file system that
// cannot keeps the range.
func punch(f *os.File, at, n int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
