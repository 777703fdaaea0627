//go:build linux

package process

import (
	"context"
	"fmt"
	"os"

	"github.com/mdlayher/vsock"
	"golang.org/x/sync/errgroup"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/stream"
)

// streams are a process's stdin, stdout and stderr on vminitd's side: the
// connections to the host, nil where none was asked for, and the ends of the
// pipes, nil with a terminal.
type streams struct {
	host  [3]*vsock.Conn
	pipes [3]*os.File
}

// connect dials the streams that the host waits for, side by side, and makes
// the process's ends: pipes, or /dev/null where there is no stream or a terminal
// comes in its place.
func connect(ctx context.Context, p *api.Process) (s streams, stdio [3]*os.File, err error) {
	defer func() {
		if err != nil {
			s.close()
			for _, f := range stdio {
				if f != nil {
					f.Close()
				}
			}
		}
	}()
	g, ctx := errgroup.WithContext(ctx)
	for i, id := range []uint64{p.StdinStream, p.StdoutStream, p.StderrStream} {
		if id != 0 {
			g.Go(func() (err error) {
				s.host[i], err = stream.Dial(ctx, id)
				return err
			})
		}
		if id == 0 || p.Terminal {
			stdio[i], err = os.OpenFile(os.DevNull, os.O_RDWR, 0)
		} else {
			s.pipes[i], stdio[i], err = stream.Pipe(i == 0)
		}
		if err != nil {
			err = fmt.Errorf("make standard streams: %w", err)
			break
		}
	}
	if dialErr := g.Wait(); err == nil {
		err = dialErr
	}
	return s, stdio, err
}

// run copies between the host and the pipes or the terminal, which it closes
// when output ends. A terminal's output that nobody wants is read all the same:
// the process would wait for it.
func (s *streams) run(terminal *os.File) {
	if terminal != nil && s.host[1] == nil {
		go stream.Discard(terminal)
	}
	for i, host := range s.host {
		switch {
		case host == nil:
		case i == 0 && terminal != nil:
			go stream.In(terminal, host, false)
		case i == 0:
			go stream.In(s.pipes[0], host, true)
		case terminal != nil:
			go stream.Out(host, terminal)
		default:
			go stream.Out(host, s.pipes[i])
		}
	}
}

// close closes all of them.
func (s *streams) close() {
	for i := range s.host {
		if s.host[i] != nil {
			s.host[i].Close()
		}
		if s.pipes[i] != nil {
			s.pipes[i].Close()
		}
	}
}
