// Command benchidle measures what the app itself takes while three containers do
// nothing: its processor time as a part of one core, over some minutes, and its
// resident memory. The machines' own processes do not count.
//
//	benchidle [-skerry PROGRAM] [-for DURATION]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skerry-app/skerry/registry/registrytest"
	"github.com/skerry-app/skerry/tests/busybox"
)

const (
	containers = 3
	settle     = 20 * time.Second // after the last start: what begins then is no idling
	ticks      = 100              // a second, of /proc/PID/stat (sysconf(3), _SC_CLK_TCK)
	quitTime   = time.Minute
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchidle:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	skerry := flag.String("skerry", "bin/skerry", "the program")
	span := flag.Duration("for", 5*time.Minute, "how long to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	home, err := os.MkdirTemp("", "skerry")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)

	server, err := registrytest.Serve(ctx, registrytest.Options{})
	if err != nil {
		return err
	}
	image, err := busybox.Image()
	if err != nil {
		return err
	}
	if _, err := image.Push(ctx, server.Host, "skerry/busybox", "latest"); err != nil {
		return err
	}
	app := exec.Command(*skerry, "app", "--headless")
	app.Env = append(os.Environ(), "SKERRY_HOME="+home)
	app.Stderr = os.Stderr
	if err := app.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(app)) }()
	for range containers {
		start := exec.CommandContext(ctx, *skerry, "run", "-d", "--stop-signal", "KILL", server.Host+"/skerry/busybox", "sleep", "1000000")
		start.Env, start.Stderr = app.Env, os.Stderr
		if err := start.Run(); err != nil {
			return fmt.Errorf("start a container: %w", err)
		}
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	before, err := processorTime(app.Process.Pid)
	if err != nil {
		return err
	}
	if err := pause(ctx, *span); err != nil {
		return err
	}
	after, err := processorTime(app.Process.Pid)
	if err != nil {
		return err
	}
	memory, err := residentMemory(app.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("%d idle containers, %v: the app took %v of a processor, %.2f %%, and has %d MiB resident\n",
		containers, *span, after-before, 100*float64(after-before)/float64(*span), memory>>20)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// end has the app stop its containers and end.
func end(app *exec.Cmd) error {
	if err := app.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(quitTime, func() { _ = app.Process.Kill() })
	defer late.Stop()
	return app.Wait()
}

// processorTime is what a process has used, as proc(5) has it.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const user, system = 11, 12 // utime and stime, after the name
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, text)
	}
	var sum time.Duration
	for _, field := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * time.Second / ticks
	}
	return sum, nil
}

// residentMemory is in bytes.
func residentMemory(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm is %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
