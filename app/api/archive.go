package api

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/skerry-app/skerry/engine"
)

// statHeader says what is at a path, as JSON in base64.
const statHeader = "X-Docker-Container-Path-Stat"

// fileRequest returns the container and the path that a request is about.
func (s *Server) fileRequest(r *http.Request) (c *engine.Container, path string, err error) {
	if path = r.URL.Query().Get("path"); path == "" {
		return nil, "", invalid("bad parameter: path: cannot be empty")
	}
	c, err = s.container(r)
	return c, path, err
}

func setStat(w http.ResponseWriter, info engine.FileInfo) {
	text, err := json.Marshal(container.PathStat{Name: info.Name, Size: info.Size, Mode: info.Mode, Mtime: info.Modified, LinkTarget: info.LinkTarget})
	if err != nil {
		return // strings and numbers always encode
	}
	w.Header().Set(statHeader, base64.StdEncoding.EncodeToString(text))
}

// missingFile words the error for a path that is not there as Docker does.
func missingFile(c *engine.Container, path string, err error) error {
	if errdefs.IsNotFound(err) && c.ID() != "" {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("Could not find the file %s in container %s: %v", path, c.Snapshot().Name, err))
	}
	return err
}

func (s *Server) statFile(w http.ResponseWriter, r *http.Request) error {
	c, path, err := s.fileRequest(r)
	if err != nil {
		return err
	}
	info, err := c.StatFile(r.Context(), path)
	if err != nil {
		return missingFile(c, path, err)
	}
	setStat(w, info)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) readFiles(w http.ResponseWriter, r *http.Request) error {
	c, path, err := s.fileRequest(r)
	if err != nil {
		return err
	}
	begun := false
	err = c.ReadFiles(r.Context(), path, func(info engine.FileInfo) {
		setStat(w, info)
		w.Header().Set("Content-Type", tarType)
		begun = true
	}, w)
	if err != nil && !begun {
		return missingFile(c, path, err)
	}
	if err != nil {
		// The answer is on its way: only a cut connection says that it is
		// not whole.
		s.log.Warn("copy files out of a container", "container", c.Snapshot().Name, "path", path, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *Server) writeFiles(w http.ResponseWriter, r *http.Request) error {
	c, path, err := s.fileRequest(r)
	if err != nil {
		return err
	}
	if boolean(r, "copyUIDGID") && c.Snapshot().User != "" {
		return notImplemented("giving copied files to the container's user is")
	}
	content, err := inflated(r.Body)
	if err != nil {
		return err
	}
	if err := c.WriteFiles(r.Context(), path, content, boolean(r, "noOverwriteDirNonDir")); err != nil {
		return missingFile(c, path, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// inflated unpacks an archive that came with gzip, as Docker takes it.
func inflated(body io.Reader) (io.Reader, error) {
	b := bufio.NewReader(body)
	if magic, err := b.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, invalid("read the archive: %v", err)
	}
	return z, nil
}
