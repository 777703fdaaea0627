package engine

import (
	"io"

	"github.com/skerry-app/skerry/engine/logfile"
)

// consoleSegment bounds what is kept of a machine's console: two segments of
// this many bytes.
const consoleSegment = 1 << 20

// console keeps what a machine prints, for when something goes wrong in it.
func (e *Engine) console(id string) io.Writer {
	return consoleWriter{logfile.Open(e.home.console(id), consoleSegment)}
}

type consoleWriter struct{ log *logfile.Log }

// Write never fails: a console that is not kept must not hold the machine up.
func (w consoleWriter) Write(p []byte) (int, error) {
	w.log.Append(logfile.Stdout, p)
	return len(p), nil
}
