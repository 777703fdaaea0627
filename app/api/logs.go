package api

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/moby/moby/api/types"

	"github.com/skerry-app/skerry/engine"
)

func (s *Server) containerLogs(w http.ResponseWriter, r *http.Request) error {
	stdout, stderr := boolean(r, "stdout"), boolean(r, "stderr")
	if !stdout && !stderr {
		return invalid("Bad parameters: you must choose at least one stream")
	}
	options, err := logOptions(r)
	if err != nil {
		return err
	}
	c, err := s.container(r)
	if err != nil {
		return err
	}
	var out, errOut io.Writer
	contentType := types.MediaTypeRawStream
	tty := c.Snapshot().Spec.TTY
	if !tty {
		contentType = types.MediaTypeMultiplexedStream
	}
	body := newStream(w, contentType)
	if err := body.start(); err != nil {
		return err
	}
	var to io.Writer = w
	if options.Follow {
		to = body // each piece at once
	}
	if tty {
		out, errOut = to, to
	} else {
		var mu sync.Mutex
		out, errOut = frames{to, &mu, stdcopyStdout}, frames{to, &mu, stdcopyStderr}
	}
	if !stdout {
		out = nil
	}
	if !stderr {
		errOut = nil
	}
	if err := c.Logs(r.Context(), options, out, errOut); err != nil && r.Context().Err() == nil {
		// The status has gone out: only a cut connection tells of the error.
		s.log.Error("read logs", "container", c.ID(), "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func logOptions(r *http.Request) (o engine.LogOptions, err error) {
	o = engine.LogOptions{Follow: boolean(r, "follow"), Timestamps: boolean(r, "timestamps"), Tail: -1}
	if o.Since, err = moment(r, "since"); err != nil {
		return o, err
	}
	if o.Until, err = moment(r, "until"); err != nil {
		return o, err
	}
	if tail := r.URL.Query().Get("tail"); tail != "" && tail != "all" {
		if o.Tail, err = strconv.Atoi(tail); err != nil {
			return o, invalid("tail=%q is not a number of lines", tail)
		}
	}
	return o, nil
}
