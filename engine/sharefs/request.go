//go:build linux

package sharefs

import (
	"encoding/binary"
	"unsafe"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

const (
	// maxData is how much one request reads or writes: what Linux asks for at
	// most (FUSE_MAX_MAX_PAGES).
	maxData = 1 << 20
	// maxExtra is what a request or reply has beside data, with room to spare.
	maxExtra = 8 << 10
	// maxSmall is the size of all requests that write no data: the largest
	// sets an extended attribute (XATTR_SIZE_MAX).
	maxSmall = 64<<10 + maxExtra
	// maxBackground is how many requests that nobody waits for Linux has under
	// way.
	maxBackground = 64
)

const (
	headerSize = int(unsafe.Sizeof(fuse.InHeader{}))
	replySize  = int(unsafe.Sizeof(fuse.OutHeader{}))
	writeSize  = int(unsafe.Sizeof(fuse.WriteIn{}))
)

// Operations (include/uapi/linux/fuse.h, enum fuse_opcode).
const (
	opForget      = 2
	opWrite       = 16
	opInit        = 26
	opBatchForget = 42
)

// requests are the operations that are served, with the least size that each
// has. What is not here is answered with ENOSYS.
var requests = map[uint32]int{
	1: headerSize + 2, // LOOKUP
	2: int(unsafe.Sizeof(fuse.ForgetIn{})),
	3: int(unsafe.Sizeof(fuse.GetAttrIn{})),
	4: int(unsafe.Sizeof(fuse.SetAttrIn{})),
	5: headerSize,     // READLINK
	6: headerSize + 4, // SYMLINK
	8: int(unsafe.Sizeof(fuse.MknodIn{})) + 2,
	9: int(unsafe.Sizeof(fuse.MkdirIn{})) + 2,

	10: headerSize + 2,     // UNLINK
	11: headerSize + 2,     // RMDIR
	12: headerSize + 8 + 4, // RENAME
	13: int(unsafe.Sizeof(fuse.LinkIn{})) + 2,
	14: int(unsafe.Sizeof(fuse.OpenIn{})),
	15: int(unsafe.Sizeof(fuse.ReadIn{})),
	16: writeSize,
	17: headerSize, // STATFS
	18: int(unsafe.Sizeof(fuse.ReleaseIn{})),

	20: int(unsafe.Sizeof(fuse.FsyncIn{})),
	21: headerSize + 8 + 2, // SETXATTR
	22: int(unsafe.Sizeof(fuse.GetXAttrIn{})) + 2,
	23: int(unsafe.Sizeof(fuse.GetXAttrIn{})), // LISTXATTR
	24: headerSize + 2,                        // REMOVEXATTR
	26: headerSize + 16,                       // INIT
	27: int(unsafe.Sizeof(fuse.OpenIn{})),     // OPENDIR
	28: int(unsafe.Sizeof(fuse.ReadIn{})),     // READDIR
	29: int(unsafe.Sizeof(fuse.ReleaseIn{})),  // RELEASEDIR

	30: int(unsafe.Sizeof(fuse.FsyncIn{})), // FSYNCDIR
	35: int(unsafe.Sizeof(fuse.CreateIn{})) + 2,
	36: int(unsafe.Sizeof(fuse.InterruptIn{})),
	38: headerSize,     // DESTROY
	42: headerSize + 8, // BATCH_FORGET
	43: int(unsafe.Sizeof(fuse.FallocateIn{})),
	44: int(unsafe.Sizeof(fuse.ReadIn{})),       // READDIRPLUS
	45: int(unsafe.Sizeof(fuse.RenameIn{})) + 4, // RENAME2
	46: int(unsafe.Sizeof(fuse.LseekIn{})),
}

// Handle answers a request and returns the length of the reply. Both may lie in
// memory that the guest changes meanwhile: all but the data to be written is
// copied before it is looked at.
func (s *Server) Handle(request, reply [][]byte) (n int) {
	size := length(request)
	if size < headerSize || size > maxData+maxExtra || length(reply) > maxData+maxExtra {
		return 0
	}
	head := gather(request, min(size, writeSize))
	operation, unique := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint64(head[8:])
	least, known := requests[operation]
	switch {
	case !known:
		return refuse(reply, unique, unix.ENOSYS)
	case size < least || operation != opWrite && size > maxSmall:
		return refuse(reply, unique, unix.EINVAL)
	case operation == opInit && !speaks(request):
		return refuse(reply, unique, unix.EPROTO)
	case operation == opWrite:
		request = append([][]byte{head}, skip(request, writeSize)...)
	default:
		request = [][]byte{append(head, gather(skip(request, len(head)), size-len(head))...)}
	}
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			n = refuse(reply, unique, unix.EIO)
		}
	}()
	if n, _ = s.protocol.HandleRequest(request, reply); n == 0 && operation != opForget && operation != opBatchForget {
		return refuse(reply, unique, unix.EIO)
	}
	return n
}

// speaks says whether an INIT request is of a version that is served: Linux 5.4,
// the first with virtio-fs, and newer.
func speaks(request [][]byte) bool {
	const major, leastMinor = 7, 31
	body := gather(skip(request, headerSize), 8)
	return binary.LittleEndian.Uint32(body) == major && binary.LittleEndian.Uint32(body[4:]) >= leastMinor
}

// refuse writes a reply that is an error and returns its length.
func refuse(reply [][]byte, unique uint64, errno unix.Errno) int {
	if length(reply) < replySize {
		return 0
	}
	header := binary.LittleEndian.AppendUint32(nil, uint32(replySize))
	header = binary.LittleEndian.AppendUint32(header, uint32(-int32(errno)))
	header = binary.LittleEndian.AppendUint64(header, unique)
	for _, b := range reply {
		header = header[copy(b, header):]
	}
	return replySize
}

func length(pieces [][]byte) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}

// gather copies the first n bytes.
func gather(pieces [][]byte, n int) []byte {
	all := make([]byte, 0, n+writeSize)
	for _, p := range pieces {
		all = append(all, p[:min(len(p), n-len(all))]...)
	}
	return all
}

// skip leaves out the first n bytes.
func skip(pieces [][]byte, n int) [][]byte {
	var rest [][]byte
	for _, p := range pieces {
		m := min(n, len(p))
		if n -= m; m < len(p) {
			rest = append(rest, p[m:])
		}
	}
	return rest
}
