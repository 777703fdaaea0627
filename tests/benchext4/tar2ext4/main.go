// Command tar2ext4 makes an ext4 file system of one layer with hcsshim, to
// measure against.
//
//	tar2ext4 IMAGE LAYER
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/Microsoft/hcsshim/ext4/tar2ext4"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "tar2ext4:", err)
		os.Exit(1)
	}
}

func run(image, layer string) error {
	in, err := os.Open(layer)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	buffered := bufio.NewReaderSize(in, 256<<10)
	var plain io.Reader
	if strings.HasSuffix(layer, ".zst") {
		plain, err = zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
	} else {
		plain, err = gzip.NewReader(buffered)
	}
	if err != nil {
		return err
	}
	return tar2ext4.Convert(plain, out, tar2ext4.MaximumDiskSize(64<<30))
}
