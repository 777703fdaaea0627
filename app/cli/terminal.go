package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// terminal returns the descriptor of a stream that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	file, isFile := stream.(*os.File)
	if !isFile {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// errNoTerminal has docker's words; scripts look for them.
var errNoTerminal = errors.New("the input device is not a TTY; leave -t away, or run it in a terminal")

// rawMode is a terminal that hands every key on as it is. Restore may be
// called more than once and from any goroutine.
type rawMode struct {
	restore func()
}

// makeRaw puts the input's terminal into raw mode. For other inputs it does
// nothing.
func makeRaw(in any) (*rawMode, error) {
	fd, ok := terminal(in)
	if !ok {
		return &rawMode{restore: func() {}}, nil
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return &rawMode{restore: sync.OnceFunc(func() { _ = term.Restore(fd, state) })}, nil
}

// guard is to be deferred in every goroutine that runs while the terminal is
// raw: a panic elsewhere than in the main goroutine runs nobody else's defers.
func (r *rawMode) guard() {
	if p := recover(); p != nil {
		r.restore()
		panic(p)
	}
}

// size is the terminal's, or 0, 0 when out is none.
func size(out any) (rows, columns uint) {
	fd, ok := terminal(out)
	if !ok {
		return 0, 0
	}
	w, h, err := term.GetSize(fd)
	if err != nil || w < 0 || h < 0 {
		return 0, 0
	}
	return uint(h), uint(w)
}

// watchSize calls resize whenever the window of out has changed, until ctx ends.
func watchSize(ctx context.Context, out any, resize func(rows, columns uint)) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		defer signal.Stop(changed)
		for {
			select {
			case <-changed:
				if rows, columns := size(out); rows > 0 {
					resize(rows, columns)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
}
