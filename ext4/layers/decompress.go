package layers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/ext4/inflate"
)

const (
	// inputBuffer is how many bytes of a stored layer are read at once.
	inputBuffer = 256 << 10
	// maxWindow is the largest zstd window that is accepted, in bytes: what
	// zstd itself takes without being told to (--ultra or --long need more).
	maxWindow = 128 << 20
)

// mediaTypes are the types of layers that are known. They promise a tar
// archive; its compression is seen from the first bytes.
var mediaTypes = map[string]bool{
	"":                              true,
	ocispec.MediaTypeImageLayer:     true,
	ocispec.MediaTypeImageLayerGzip: true,
	ocispec.MediaTypeImageLayerZstd: true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
	"application/vnd.docker.image.rootfs.diff.tar":                 true,
	"application/vnd.docker.image.rootfs.diff.tar.gzip":            true,
	"application/vnd.docker.image.rootfs.diff.tar.zstd":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":         true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip":    true,
}

// decompress returns the archive in a stored layer. Reading it to the end
// verifies the checksums that its compression has.
func decompress(r io.Reader, mediaType string) (io.ReadCloser, error) {
	if !mediaTypes[mediaType] {
		return nil, fmt.Errorf("media type %q is not supported: layers are tar archives, plain or compressed by gzip or zstd", mediaType)
	}
	br := bufio.NewReaderSize(r, inputBuffer)
	start, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1F, 0x8B}):
		z, err := inflate.NewGzip(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return named{io.NopCloser(z), "gzip"}, nil
	case isZstd(start):
		d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return named{d.IOReadCloser(), "zstd"}, nil
	case bytes.HasPrefix(start, []byte("BZh")):
		return nil, errors.New("compression by bzip2 is not supported: gzip and zstd are")
	case bytes.HasPrefix(start, []byte("\xFD7zXZ\x00")):
		return nil, errors.New("compression by xz is not supported: gzip and zstd are")
	}
	return io.NopCloser(br), nil
}

// isZstd knows zstd's frames, and its skippable ones, with which
// zstd:chunked and parallel compressors may begin (RFC 8878, 3.1).
func isZstd(start []byte) bool {
	return bytes.HasPrefix(start, []byte{0x28, 0xB5, 0x2F, 0xFD}) ||
		len(start) >= 4 && start[0]&0xF0 == 0x50 && bytes.Equal(start[1:4], []byte{0x2A, 0x4D, 0x18})
}

// named says in an error what was being decompressed.
type named struct {
	io.ReadCloser
	name string
}

func (n named) Read(p []byte) (int, error) {
	k, err := n.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	return k, err
}
