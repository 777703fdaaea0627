//go:build linux

// Guest is the init process of the machines that the conformance tests boot. It
// serves what those tests ask for on ports of its own and nothing else.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/engine/vm/kvm"
	"github.com/skerry-app/skerry/engine/vm/vmtest/guest/ports"
)

func main() {
	if err := run(); err != nil {
		fmt.Println("guest:", err)
	}
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() error {
	for target, fs := range map[string]string{"/dev": "devtmpfs", "/proc": "proc", "/sys": "sysfs"} {
		if err := unix.Mount(fs, target, fs, 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", target, err)
		}
	}
	// The kernel gave up its own messages to "quiet"; what is printed here
	// shows that the console works.
	fmt.Println(ports.Greeting)
	services := map[uint32]func(net.Conn){
		ports.Echo:    echo,
		ports.Sink:    sink,
		ports.Source:  source,
		ports.Hold:    hold,
		ports.Answer:  answer,
		ports.Control: control,
	}
	for port, serve := range services {
		l, err := vsock.Listen(port, nil)
		if err != nil {
			return fmt.Errorf("listen on port %d: %w", port, err)
		}
		go accept(l, serve)
	}
	ready, err := vsock.Dial(ports.HostCID, ports.Ready, nil)
	if err != nil {
		return fmt.Errorf("call the host: %w", err)
	}
	if _, err := ready.Write([]byte(ports.Greeting)); err != nil {
		return fmt.Errorf("greet the host: %w", err)
	}
	if err := ready.Close(); err != nil {
		return err
	}
	select {}
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Println("guest: accept:", err)
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// echo sends back what it reads.
func echo(c net.Conn) { io.Copy(c, c) }

// sink reads to the end and answers with length and SHA-256.
func sink(c net.Conn) {
	sum := sha256.New()
	n, err := io.Copy(sum, c)
	if err != nil {
		return
	}
	c.Write(sum.Sum(binary.BigEndian.AppendUint64(nil, uint64(n))))
}

// source reads a length, writes that many bytes of a pattern and ends with
// their SHA-256.
func source(c net.Conn) {
	var n uint64
	if err := binary.Read(c, binary.BigEndian, &n); err != nil {
		return
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(c, sum), ports.Pattern(), int64(n)); err != nil {
		return
	}
	c.Write(sum.Sum(nil))
}

// holding is closed once the readers that hold back may read.
var holding = make(chan struct{})

// hold reads nothing until it is released, then does what sink does.
func hold(c net.Conn) {
	<-holding
	sink(c)
}

// answer ends its own direction first and then reports what it reads over a
// call to the host: how a half-close by the guest is tested.
func answer(c net.Conn) {
	c.Write([]byte("last words"))
	c.(*vsock.Conn).CloseWrite()
	text, err := io.ReadAll(c)
	back, dialErr := vsock.Dial(ports.HostCID, ports.Report, nil)
	if dialErr != nil {
		fmt.Println("guest: report:", dialErr)
		return
	}
	defer back.Close()
	fmt.Fprintf(back, "%s %v", text, err)
}

// control does one thing a connection.
func control(c net.Conn) {
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return
	}
	var r ports.Request
	if err := json.Unmarshal(line, &r); err != nil {
		fmt.Println("guest: control:", err)
		return
	}
	result, err := do(r)
	a := ports.Response{Result: result}
	if err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(c).Encode(a)
}

func do(r ports.Request) (string, error) {
	switch r.Do {
	case "poweroff":
		return "", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	case "panic":
		return "", os.WriteFile("/proc/sysrq-trigger", []byte("c"), 0)
	case "exit": // of PID 1: the kernel panics
		os.Exit(3)
	case "print":
		_, err := fmt.Println(r.Argument)
		return "", err
	case "release":
		close(holding)
		return "", nil
	case "read":
		data, err := os.ReadFile(r.Argument)
		return string(data), err
	case "write":
		return "", overwrite(r.Argument)
	case "mount":
		return "", mountShares(r.Argument)
	case "list":
		return list(r.Argument)
	case "call":
		return call(r.Port)
	case "nest":
		return "", kvm.Probe()
	case "frames":
		return reflectFrames(r.Argument)
	}
	return "", fmt.Errorf("%q is not something this guest does", r.Do)
}

// overwrite writes a sector and makes sure that it reaches the disk.
func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	sector := make([]byte, 512)
	copy(sector, ports.Greeting)
	if _, err := f.Write(sector); err != nil {
		return err
	}
	return f.Sync()
}

// mountShares mounts the shared directories in /dev, where there is room.
func mountShares(tag string) error {
	if err := os.Mkdir(ports.Shares, 0o755); err != nil {
		return err
	}
	return unix.Mount(tag, ports.Shares, "virtiofs", 0, "")
}

// list names what is in a directory.
func list(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " "), err
}

// call echoes through ports.Calls connections to a port of the host at once.
func call(port uint32) (string, error) {
	var wg sync.WaitGroup
	errs := make(chan error, ports.Calls)
	for range ports.Calls {
		wg.Go(func() { errs <- callOnce(port) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return "", err
		}
	}
	return "ok", nil
}

func callOnce(port uint32) error {
	c, err := vsock.Dial(ports.HostCID, port, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make([]byte, 3000)
	io.ReadFull(ports.Pattern(), sent)
	if _, err := c.Write(sent); err != nil {
		return err
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != string(sent) {
		return fmt.Errorf("the host answered with other bytes")
	}
	return nil
}

// frameTimeout ends the wait for a frame that never comes.
const frameTimeout = 20 * time.Second

// frameInterval is between two frames that ask for one.
const frameInterval = 100 * time.Millisecond

// reflectFrames brings an interface up, answers one experimental frame and
// reports the interface's MTU.
func reflectFrames(name string) (string, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return "", err
	}
	const protocol = ports.EtherType>>8 | ports.EtherType&0xff<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return "", fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return "", err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return "", fmt.Errorf("bring %s up: %w", name, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}); err != nil {
		return "", fmt.Errorf("bind to %s: %w", name, err)
	}
	timeout := unix.NsecToTimeval(int64(frameInterval))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return "", err
	}
	// The first frames go out unasked: the host learns that the guest is there.
	// An interface that was brought up a moment ago drops what is sent.
	frame := append(ports.Broadcast(link.HardwareAddr), ports.Hello...)
	buffer := make([]byte, 1<<16)
	n, err := 0, error(unix.EAGAIN)
	for end := time.Now().Add(frameTimeout); err == unix.EAGAIN && time.Now().Before(end); {
		if _, err := unix.Write(fd, frame); err != nil {
			return "", fmt.Errorf("send on %s: %w", name, err)
		}
		n, err = unix.Read(fd, buffer)
	}
	if err != nil {
		return "", fmt.Errorf("receive on %s: %w", name, err)
	}
	answer := append(ports.Broadcast(link.HardwareAddr), buffer[14:n]...)
	if _, err := unix.Write(fd, answer); err != nil {
		return "", fmt.Errorf("answer on %s: %w", name, err)
	}
	return fmt.Sprintf("mtu %d", link.MTU), nil
}
