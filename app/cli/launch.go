package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	launchTimeout = 60 * time.Second      // for the app to serve its socket
	launchPoll    = 10 * time.Millisecond // between two looks at the socket
	launchNote    = 2 * time.Second       // until the user is told what takes so long
	launchGrace   = time.Second           // for another app that holds the lock to serve
	logTail       = 2 << 10               // bytes of the app's log to show when it failed
	lockPoll      = 20 * time.Millisecond // between two tries for the launch lock
)

// launchError says why the app could not be reached. It survives moby's
// client, which wraps a failed dial in words about a docker daemon.
type launchError struct{ err error }

func (e *launchError) Error() string { return e.err.Error() }
func (e *launchError) Unwrap() error { return e.err }

// launch starts the app, detached from this process and its terminal, and
// returns a connection to it. Of several command lines that find no app one
// starts it and the others wait.
func (c *connection) launch(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, c.home.LaunchLock())
	if err != nil {
		return nil, &launchError{fmt.Errorf("start the app: %w", err)}
	}
	defer unlock()
	if conn, err := c.dial(ctx); err == nil || !nobodyListens(err) {
		return conn, err
	}
	conn, err := c.launchLocked(ctx)
	if err != nil {
		return nil, &launchError{fmt.Errorf("start the app: %w", err)}
	}
	return conn, nil
}

func (c *connection) launchLocked(ctx context.Context) (net.Conn, error) {
	log, err := openLog(c.home.AppLog())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	begin, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("find the end of %s: %w", log.Name(), err)
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's file: %w", err)
	}
	app := exec.Command(executable, "app", "--headless")
	app.Dir = "/" // holds no directory of the user's
	app.Stdout, app.Stderr = log, log
	app.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := app.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Wait() }()

	conn, err := c.awaitSocket(ctx, ended)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, tail(log, begin))
	}
	return conn, nil
}

// awaitSocket connects as soon as the app serves.
func (c *connection) awaitSocket(ctx context.Context, ended <-chan error) (net.Conn, error) {
	poll := time.NewTicker(launchPoll)
	defer poll.Stop()
	note := time.NewTimer(launchNote)
	defer note.Stop()
	var failure error
	var grace <-chan time.Time
	for {
		select {
		case <-poll.C:
			conn, err := c.dial(ctx)
			if err == nil || (!nobodyListens(err) && ctx.Err() == nil) {
				return conn, err
			}
		case <-note.C:
			fmt.Fprintln(c.notes, "waiting for the app to start")
		case err := <-ended:
			// It may have found another app that holds the lock but does not serve yet.
			failure = fmt.Errorf("it ended at once (%v)", exitText(err))
			grace = time.After(launchGrace)
		case <-grace:
			return nil, failure
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("it does not serve %s after %v", c.home.Socket(), launchTimeout)
			}
			return nil, ctx.Err()
		}
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
}

// tail is what was written to the log from begin on, at most logTail bytes of
// it, each line indented; empty when there is nothing.
func tail(log *os.File, begin int64) string {
	info, err := log.Stat()
	if err != nil {
		return ""
	}
	begin = max(begin, info.Size()-logTail)
	text, err := io.ReadAll(io.NewSectionReader(log, begin, logTail))
	if err != nil || len(strings.TrimSpace(string(text))) == 0 {
		return "; its log is " + log.Name()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "; its log " + log.Name() + " says:\n  " + strings.Join(lines, "\n  ")
}

// lockFile takes an exclusive lock (flock(2)), which the kernel gives back
// when this process ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("another command has been starting the app for %v: %w", launchTimeout, ctx.Err())
		}
	}
}
