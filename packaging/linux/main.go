// Command linux makes the packages for Linux, a .deb and a tarball of the same
// files. The same inputs and the same $SOURCE_DATE_EPOCH give the same bytes. It
// runs in the source's root.
package main

import (
	"crypto/md5"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/skerry-app/skerry/packaging/icon"
	"github.com/skerry-app/skerry/packaging/licences"
	"github.com/skerry-app/skerry/packaging/tree"
)

const id = "dev.skerry.Skerry"

// platforms is what goes by another name on each architecture.
var platforms = map[string]struct{ kernel, qemu string }{
	"amd64": {"vmlinux", "qemu-system-x86"},
	"arm64": {"Image", "qemu-system-arm"},
}

// iconSizes are the directories of the hicolor theme that have the icon.
var iconSizes = []int{32, 48, 64, 128, 256, 512}

type options struct{ program, kernel, init, version, output string }

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/skerry", "`path` of skerry")
	flag.StringVar(&o.kernel, "kernel", "", "`path` of the guest kernel")
	flag.StringVar(&o.init, "init", "bin/init.ext4", "`path` of the init image")
	flag.StringVar(&o.version, "version", "dev", "`version`, as git describe tells it")
	flag.StringVar(&o.output, "o", "bin", "`directory` to put the packages into")
	flag.Parse()
	if err := pack(o); err != nil {
		fmt.Fprintln(os.Stderr, "linux:", err)
		os.Exit(1)
	}
}

func pack(o options) (err error) {
	work, err := os.MkdirTemp("", "skerry-package-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	name := fmt.Sprintf("skerry_%s_%s", debianVersion(o.version), runtime.GOARCH)
	root := filepath.Join(work, name)
	if err := layOut(o, root); err != nil {
		return err
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	output, err := filepath.Abs(filepath.Join(o.output, name))
	if err != nil {
		return err
	}
	if err := run("tar", "--create", "--use-compress-program=gzip -n", "--file="+output+".tar.gz", "--sort=name", "--owner=0", "--group=0", "--numeric-owner",
		"--mtime=@"+epoch(), "--directory="+work, name); err != nil {
		return err
	}
	if err := control(o, root); err != nil {
		return err
	}
	return run("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", root, output+".deb")
}

// epoch is the time of all files, as others who pack reproducibly have it.
func epoch() string {
	if set := os.Getenv("SOURCE_DATE_EPOCH"); set != "" {
		return set
	}
	return "0"
}

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+epoch())
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func layOut(o options, root string) error {
	platform, ok := platforms[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("no packages for %s: use amd64 or arm64", runtime.GOARCH)
	}
	modules, err := licences.Modules("linux", runtime.GOARCH, "./app", "./guest/vminitd")
	if err != nil {
		return err
	}
	t := tree.New(root)
	t.Copy("usr/bin/skerry", o.program, 0o755)
	t.Copy("usr/lib/skerry/"+platform.kernel, o.kernel, 0o644)
	t.Copy("usr/lib/skerry/init.ext4", o.init, 0o644)
	t.Copy("usr/share/applications/"+id+".desktop", "packaging/linux/"+id+".desktop", 0o644)
	t.Copy("etc/xdg/autostart/"+id+".desktop", "packaging/linux/autostart.desktop", 0o644)
	for _, size := range iconSizes {
		picture, err := icon.PNG(size)
		if err != nil {
			return err
		}
		t.Write(fmt.Sprintf("usr/share/icons/hicolor/%dx%d/apps/%s.png", size, size, id), picture)
	}
	t.Completions(o.program, map[string]string{"bash": "usr/share/bash-completion/completions/skerry",
		"zsh": "usr/share/zsh/vendor-completions/_skerry", "fish": "usr/share/fish/vendor_completions.d/skerry.fish"})
	t.Copy("usr/share/doc/skerry/copyright", "packaging/linux/copyright", 0o644)
	return licences.LayOut(t, "usr/share/doc/skerry/licences", o.kernel, modules)
}

// control adds what dpkg wants to know.
func control(o options, root string) error {
	sums, size, err := survey(root)
	if err != nil {
		return err
	}
	t := tree.New(filepath.Join(root, "DEBIAN"))
	t.Write("md5sums", []byte(sums))
	t.Write("conffiles", []byte("/etc/xdg/autostart/"+id+".desktop\n"))
	t.Write("control", fmt.Appendf(nil, `Package: skerry
Version: %s
Architecture: %s
Maintainer: The Skerry authors <skerry@skerry.dev>
Installed-Size: %d
Depends: %s
Recommends: qemu-user-static
Section: admin
Priority: optional
Description: containers, each in its own lightweight virtual machine
 Skerry runs every Linux container in a virtual machine of its own that boots in
 a fraction of a second: with its own kernel, address and memory. It serves the
 Docker Engine API, so that docker, compose and IDEs work with it.
`, debianVersion(o.version), runtime.GOARCH, size/1024, platforms[runtime.GOARCH].qemu))
	return t.Err()
}

// survey is the sum of each file, as md5sum prints it, and the size of all.
func survey(root string) (sums string, size int64, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += int64(len(data))
		sums += fmt.Sprintf("%x  %s\n", md5.Sum(data), strings.TrimPrefix(path, root+"/"))
		return nil
	})
	return sums, size, err
}

var described = regexp.MustCompile(`^v?([0-9]+\.[0-9]+\.[0-9]+)(-(.*))?$`)

// debianVersion makes of what git describe tells a version that dpkg sorts as it
// is meant: commits after a tag are later than the tag, others before all tags.
func debianVersion(version string) string {
	found := described.FindStringSubmatch(version)
	switch {
	case found == nil:
		return "0~" + regexp.MustCompile(`[^A-Za-z0-9.]`).ReplaceAllString(version, ".")
	case found[3] == "":
		return found[1]
	}
	return found[1] + "+" + strings.ReplaceAll(found[3], "-", ".")
}
