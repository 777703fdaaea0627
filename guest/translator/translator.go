//go:build linux

// Package translator tells the kernel by which programs it is to run those of
// other processors (Documentation/admin-guide/binfmt-misc.rst).
package translator

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

const (
	control = "/proc/sys/fs/binfmt_misc" // where binfmt_misc is mounted
	dir     = "/run/translators"         // where file systems with translators are
)

// Set is the translators of the machine.
type Set struct {
	// Files are to be bound in every container: sockets of caches, by their paths
	// there.
	Files  map[string]string
	caches []*cache
}

// Register has programs run by translators. Those that are not in a file
// system of their own are below shares. The kernel opens them now, so that
// containers need not see them. A cache that does not come up is told of and
// done without.
func Register(translators []*api.Translator, shares string, start Starter) (*Set, error) {
	s := &Set{Files: map[string]string{}}
	if len(translators) == 0 {
		return s, nil
	}
	if err := unix.Mount("binfmt_misc", control, "binfmt_misc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount binfmt_misc: %w", err)
	}
	for _, t := range translators {
		in, err := register(t, shares)
		if err != nil {
			return nil, fmt.Errorf("register the translator %s: %w", t.Name, err)
		}
		if t.Cache == nil {
			continue
		}
		c, err := startCache(t, in, start)
		if err != nil {
			log.Printf("translator %s works without a cache: %v", t.Name, err)
			continue
		}
		s.caches = append(s.caches, c)
		s.Files[t.Cache.Socket] = c.socket
	}
	return s, nil
}

// register returns where the translator's files are.
func register(t *api.Translator, shares string) (in string, err error) {
	in = shares
	if t.ShareTag != "" {
		in = filepath.Join(dir, t.Name)
		if err := os.MkdirAll(in, 0o711); err != nil {
			return "", err
		}
		if err := unix.Mount(t.ShareTag, in, "virtiofs", unix.MS_NODEV|unix.MS_RDONLY, ""); err != nil {
			return "", fmt.Errorf("mount its file system: %w", err)
		}
	}
	return in, os.WriteFile(filepath.Join(control, "register"), []byte(rule(t, filepath.Join(in, t.Path))), 0)
}

// rule is a translator as binfmt_misc wants it.
func rule(t *api.Translator, program string) string {
	return fmt.Sprintf(":%s:M:0:%s:%s:%s:%s", t.Name, escape(t.Magic), escape(t.Mask), program, t.Flags)
}

func escape(bytes []byte) string {
	var s strings.Builder
	for _, b := range bytes {
		fmt.Fprintf(&s, `\x%02x`, b)
	}
	return s.String()
}

// Close ends the caches and has the kernel let go of all translators.
func (s *Set) Close() error {
	for _, c := range s.caches {
		c.stop()
	}
	s.caches = nil
	err := os.WriteFile(filepath.Join(control, "status"), []byte("-1"), 0)
	if errors.Is(err, os.ErrNotExist) { // there are none
		return nil
	}
	if err != nil {
		return fmt.Errorf("let go of translators: %w", err)
	}
	return nil
}
