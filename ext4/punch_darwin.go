package ext4

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// punch makes a range of a file a hole (fcntl(2), F_PUNCHHOLE). A host file
// system that cannot, or not with this alignment, keeps the range.
func punch(f *os.File, at, n int64) error {
	// struct fpunchhole begins as struct fstore does: flags, a word that is
	// zero, offset and length.
	err := unix.FcntlFstore(f.Fd(), unix.F_PUNCHHOLE, &unix.Fstore_t{Offset: at, Length: n})
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
