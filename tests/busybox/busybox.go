// Package busybox makes an image of Debian's busybox-static, for tests and
// demonstrations that need one without reaching for the internet.
package busybox

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry/registrytest"
)

// program is where Debian's busybox-static puts it.
const program = "/bin/busybox"

// Image returns an image with busybox's commands, a user "app" (1000) who is
// also in group "staff" (2000), and sh as its command.
func Image() (registrytest.Image, error) {
	binary, err := os.ReadFile(program)
	if errors.Is(err, fs.ErrNotExist) {
		return registrytest.Image{}, fmt.Errorf("%w: apt-get install busybox-static", err)
	}
	if err != nil {
		return registrytest.Image{}, err
	}
	return ImageOf(binary)
}

// ImageOf is Image with a busybox that may be for another processor.
func ImageOf(binary []byte) (registrytest.Image, error) {
	commands, err := exec.Command(program, "--list-full").Output()
	if err != nil {
		return registrytest.Image{}, fmt.Errorf("list busybox's commands: %w", err)
	}
	files := []registrytest.File{
		{Name: "bin/"}, {Name: "sbin/"}, {Name: "usr/"}, {Name: "usr/bin/"}, {Name: "usr/sbin/"}, {Name: "etc/"}, {Name: "root/", Mode: 0o700},
		{Name: "tmp/", Mode: 0o1777}, {Name: "home/"}, {Name: "home/app/"},
		{Name: "bin/busybox", Body: binary, Mode: 0o755},
		{Name: "etc/passwd", Body: []byte("root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n")},
		{Name: "etc/group", Body: []byte("root:x:0:\napp:x:1000:\nstaff:x:2000:app\n")},
	}
	for name := range strings.FieldsSeq(string(commands)) {
		if path.Base(name) != "busybox" {
			files = append(files, registrytest.File{Name: name, Type: tar.TypeSymlink, Link: program})
		}
	}
	image := registrytest.Image{Layers: []registrytest.Layer{{Files: files}}}
	image.Config.Config = ocispec.ImageConfig{Cmd: []string{"sh"}, Env: []string{"FROM_IMAGE=yes"}}
	return image, nil
}
