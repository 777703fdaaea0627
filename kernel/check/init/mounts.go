//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts come first: the other probes read proc, sys and the control groups.
var mounts = []probe{
	{"proc", mount("proc", "/proc", "proc", "")},
	{"sysfs", mount("sysfs", "/sys", "sysfs", "")},
	{"devtmpfs", mount("dev", "/dev", "devtmpfs", "")},
	{"devpts", mount("devpts", "/dev/pts", "devpts", "newinstance,ptmxmode=0666")},
	{"cgroup2", mount("cgroup", "/sys/fs/cgroup", "cgroup2", "")},
	{"bpf file system", mount("bpf", "/sys/fs/bpf", "bpf", "")},
	{"binfmt_misc", mount("binfmt", "/proc/sys/fs/binfmt_misc", "binfmt_misc", "")},
	{"mqueue", mount("mqueue", "/dev/mqueue", "mqueue", "")},
	{"hugetlbfs", mount("huge", "/dev/hugepages", "hugetlbfs", "")},
	{"tmpfs", mount("tmpfs", "/tmp", "tmpfs", "inode64")},
	{"tmpfs user attributes and ACLs", func() error { return attributes("/tmp") }},
	{"ext4 with metadata_csum", mount("/dev/vda", "/disk", "ext4", "acl,user_xattr")},
	{"ext4 user attributes, capabilities and ACLs", func() error { return attributes("/disk") }},
	{"overlay on ext4", overlay},
	{"9p", mount("share", "/share", "9p", "trans=virtio,version=9p2000.L,posixacl")},
	{"erofs, fuse, virtiofs known", knowsFilesystems("erofs", "fuse", "virtiofs")},
}

// mount mounts a file system on a directory that it makes.
func mount(source, target, kind, options string) func() error {
	return func() error {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, kind, 0, options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", kind, target, err)
		}
		return nil
	}
}

// attributes sets what images carry: a user attribute, a file capability (vfs_cap_data version 2 with CAP_NET_RAW)
// and an access ACL (version 2: owner, user 1000, group, mask, other).
func attributes(dir string) error {
	file, err := os.CreateTemp(dir, "attributes")
	if err != nil {
		return err
	}
	defer file.Close()
	values := map[string]string{
		"user.probe":              "value",
		"security.capability":     "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"system.posix_acl_access": acl(1, 6, ^uint32(0)) + acl(2, 6, 1000) + acl(4, 4, ^uint32(0)) + acl(16, 6, ^uint32(0)) + acl(32, 4, ^uint32(0)),
	}
	for name, value := range values {
		if strings.HasSuffix(name, "_access") {
			value = "\x02\x00\x00\x00" + value
		}
		if err := unix.Setxattr(file.Name(), name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return nil
}

// acl encodes one entry of struct posix_acl_xattr_entry.
func acl(tag, permissions byte, id uint32) string {
	return string([]byte{tag, 0, permissions, 0, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)})
}

// overlay mounts an overlay and has it copy a file up, hide one behind a whiteout and keep an attribute.
func overlay() error {
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		if err := os.MkdirAll("/disk/"+dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"kept", "gone"} {
		if err := os.WriteFile("/disk/lower/"+name, []byte(name), 0o644); err != nil {
			return err
		}
	}
	const options = "lowerdir=/disk/lower,upperdir=/disk/upper,workdir=/disk/work"
	if err := unix.Mount("overlay", "/disk/merged", "overlay", 0, options); err != nil {
		return err
	}
	if err := os.Chmod("/disk/merged/kept", 0o600); err != nil {
		return err
	}
	if err := os.Remove("/disk/merged/gone"); err != nil {
		return err
	}
	var whiteout unix.Stat_t
	if err := unix.Stat("/disk/upper/gone", &whiteout); err != nil {
		return err
	}
	if whiteout.Mode&unix.S_IFMT != unix.S_IFCHR || whiteout.Rdev != 0 {
		return fmt.Errorf("mode %o, device %d in place of a whiteout", whiteout.Mode, whiteout.Rdev)
	}
	return attributes("/disk/merged")
}

func knowsFilesystems(names ...string) func() error {
	return func() error { return mentions("/proc/filesystems", names...) }
}

// mentions reports the words that a file does not contain.
func mentions(path string, words ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	have := make(map[string]bool)
	for _, word := range strings.Fields(string(text)) {
		have[word] = true
	}
	var missing []string
	for _, word := range words {
		if !have[word] {
			missing = append(missing, word)
		}
	}
	if missing != nil {
		return fmt.Errorf("%s lacks %s", path, strings.Join(missing, ", "))
	}
	return nil
}
