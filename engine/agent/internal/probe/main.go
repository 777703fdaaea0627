//go:build linux

// Command probe does inside a container what tests of the guest need and a
// usual image has no program for.
//
//	probe pattern BYTES      write patterns 1 and 2 to stdout and stderr at once
//	probe vsock CID PORT     tell what becomes of a connection
//	probe stream NUMBER      connect to the host as a standard stream does
//	probe serve ADDRESS      echo what TCP clients send, and "bye" at its end
//	probe reset ADDRESS      reset the connections of TCP clients
//	probe memory BYTES       touch that much memory
//	probe forks NUMBER       run /bin/true so often, and print the nanoseconds
//	                         that one took
//	probe daemon DIRECTORY   do as Rosetta's cache does: listen on
//	                         DIRECTORY/uds/rosetta.sock, for nobody else, and
//	                         tell clients the user's number
//	probe listen SOCKET      print what a unix socket has to say
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/mdlayher/vsock"

	"github.com/skerry-app/skerry/engine/agent/internal/probe/pattern"
	"github.com/skerry-app/skerry/guest/api"
)

// silence is how long a connection may say nothing before it counts as open.
const silence = 5 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errors.New("usage: probe COMMAND ARGUMENT")
	}
	switch args[0] {
	case "serve":
		return serve(args[1], echo)
	case "reset":
		return serve(args[1], reset)
	case "daemon":
		return keepTranslations(args[1])
	case "listen":
		return listen(args[1])
	}
	var numbers []uint64
	for _, a := range args[1:] {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return err
		}
		numbers = append(numbers, n)
	}
	switch args[0] {
	case "pattern":
		return patterns(int64(numbers[0]))
	case "vsock":
		return dial(uint32(numbers[0]), uint32(numbers[1]), nil)
	case "stream":
		return dial(vsock.Host, api.StreamPort, func(w io.Writer) error { return api.WriteStreamID(w, numbers[0]) })
	case "memory":
		return touch(int(numbers[0]))
	case "forks":
		return forks(int(numbers[0]))
	default:
		return fmt.Errorf("unknown command %q", args[0])
	}
}

func keepTranslations(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "uds"), 0o755); err != nil {
		return err
	}
	syscall.Umask(0o077)
	l, err := net.Listen("unix", filepath.Join(dir, "uds", "rosetta.sock"))
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(c, "user", os.Getuid())
		c.Close()
	}
}

func listen(socket string) error {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(os.Stdout, c)
	return err
}

func forks(n int) error {
	start := time.Now()
	for range n {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		if err != nil {
			return err
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			return err
		}
	}
	_, err := fmt.Println(int64(time.Since(start)) / int64(n))
	return err
}

func patterns(size int64) error {
	errs := make(chan error)
	go func() { errs <- pattern.Write(os.Stdout, 1, size) }()
	go func() { errs <- pattern.Write(os.Stderr, 2, size) }()
	return errors.Join(<-errs, <-errs)
}

// dial prints "refused", "closed" or "open".
func dial(cid, port uint32, hello func(io.Writer) error) error {
	c, err := vsock.Dial(cid, port, nil)
	if err != nil {
		fmt.Println("refused")
		return nil
	}
	defer c.Close()
	if hello != nil {
		if err := hello(c); err != nil {
			return err
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return err
	}
	var b [1]byte
	if n, err := c.Read(b[:]); n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Println("closed")
		return nil
	}
	fmt.Println("open")
	return nil
}

func serve(address string, handle func(*net.TCPConn)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go handle(c.(*net.TCPConn))
	}
}

func echo(c *net.TCPConn) {
	defer c.Close()
	io.Copy(c, c)
	io.WriteString(c, "bye")
}

// reset waits for a byte: a connection that is reset at once was never open.
func reset(c *net.TCPConn) {
	c.Read(make([]byte, 1))
	c.SetLinger(0)
	c.Close()
}

func touch(size int) error {
	b := make([]byte, size)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	fmt.Println("touched")
	return nil
}
