//go:build linux

package translator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	cachesDir = "/run/translations"
	// cacheUser is who a cache runs as: nobody. What it translates comes from
	// containers.
	cacheUser = 65534
	// cacheSocket is where it listens, in its directory.
	cacheSocket = "uds/rosetta.sock"
	// cacheTimeout is how long it may take until it does.
	cacheTimeout = 2 * time.Second
	cachePause   = 5 * time.Millisecond
)

// Starter runs a function that forks, and collects the child when it has ended.
type Starter func(fork func() (pid int, err error)) (<-chan unix.WaitStatus, error)

// cache is a program that keeps translations.
type cache struct {
	program string
	socket  string
	pidfd   int
	ended   <-chan unix.WaitStatus
}

// startCache starts a translator's cache. It is run from where it lies: a copy of
// Rosetta's does not work.
func startCache(t *api.Translator, in string, start Starter) (*cache, error) {
	dir := filepath.Join(cachesDir, t.Name)
	c := &cache{program: filepath.Join(in, t.Cache.Path), socket: filepath.Join(dir, cacheSocket), pidfd: -1}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("size=%d,mode=755,uid=%d,gid=%d", t.Cache.Bytes, cacheUser, cacheUser)
	if err := unix.Mount("translations", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, fmt.Errorf("mount memory for translations: %w", err)
	}
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	if c.ended, err = start(func() (int, error) {
		return syscall.ForkExec(c.program, []string{c.program, "daemon", dir}, &syscall.ProcAttr{
			Dir: "/", Env: []string{"HOME=" + dir}, Files: []uintptr{console.Fd(), console.Fd(), console.Fd()},
			Sys: &syscall.SysProcAttr{Setsid: true, PidFD: &c.pidfd, Credential: &syscall.Credential{Uid: cacheUser, Gid: cacheUser}}})
	}); err != nil {
		return nil, &os.PathError{Op: "run", Path: c.program, Err: err}
	}
	if err := c.open(); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// open waits for the socket, and lets programs of any user use it.
func (c *cache) open() error {
	timeout := time.After(cacheTimeout)
	for {
		err := os.Chmod(c.socket, 0o666)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		select {
		case status := <-c.ended:
			c.ended = nil
			return fmt.Errorf("%s has ended with status %d", c.program, status.ExitStatus())
		case <-timeout:
			return fmt.Errorf("%s has not made its socket in %v", c.program, cacheTimeout)
		case <-time.After(cachePause):
		}
	}
}

// stop ends the program and waits until it has.
func (c *cache) stop() {
	if c.ended != nil {
		unix.PidfdSendSignal(c.pidfd, unix.SIGKILL, nil, 0) // it may have ended by itself
		<-c.ended
	}
	unix.Close(c.pidfd)
}
