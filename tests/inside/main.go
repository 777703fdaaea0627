//go:build linux

// Command inside does in a container what tests need and busybox has no
// command for.
//
//	inside manifest DIR    write what the kernel says of everything below, as gob
//	inside send SOCKET     send the standard input to a unix socket, and print
//	                       what comes back after its end
//	inside echo SOCKET     serve a unix socket: send back what has come, after
//	                       its end, and " back"
//	inside nest            run a virtual CPU on /dev/kvm
//	inside grow DEVICE     grow the ext4 file system on a disk to the disk's size,
//	                       while it is mounted, and print how many bytes it has
package main

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vm/kvm"
	"github.com/skerry-app/skerry/ext4/ext4test"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "inside:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == "nest" {
		return kvm.Probe()
	}
	if len(args) != 2 {
		return errors.New("usage: inside nest, inside manifest|grow|send|echo ARGUMENT")
	}
	switch args[0] {
	case "grow":
		return grow(args[1])
	case "send":
		return send(args[1])
	case "echo":
		return echo(args[1])
	}
	m, err := ext4test.Read(args[1])
	if err != nil {
		return err
	}
	return gob.NewEncoder(os.Stdout).Encode(m)
}

func send(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	go func() {
		io.Copy(c, os.Stdin)
		c.(*net.UnixConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, c)
	return err
}

func echo(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			all, _ := io.ReadAll(c)
			c.Write(append(all, " back"...))
		}()
	}
}

// resizeFS is EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64)
// (Documentation/admin-guide/ext4.rst, "Ioctls").
const resizeFS = 1<<30 | 8<<16 | 'f'<<8 | 16

func grow(device string) error {
	const dir = "/growing"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(device, dir, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", device, err)
	}
	defer unix.Unmount(dir, 0)
	disk, err := os.Open(device)
	if err != nil {
		return err
	}
	defer disk.Close()
	size, err := disk.Seek(0, 2)
	if err != nil {
		return err
	}
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	blocks := uint64(size) / 4096
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, root.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("grow %s to %d blocks: %w", device, blocks, errno)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	_, err = fmt.Println(st.Blocks * uint64(st.Bsize))
	return err
}
