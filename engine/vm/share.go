package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

var shareName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)

// CheckShares finds what no driver can share.
func CheckShares(shares []Share) error {
	names := map[string]bool{}
	for _, s := range shares {
		if !shareName.MatchString(s.Name) || names[s.Name] {
			return fmt.Errorf("share %q: use a name of letters, digits, dashes, dots or underscores, and each once", s.Name)
		}
		names[s.Name] = true
		if !filepath.IsAbs(s.Path) {
			return fmt.Errorf("share %s: %q is not an absolute path", s.Name, s.Path)
		}
		if s.File != "" && s.File != filepath.Base(s.File) {
			return fmt.Errorf("share %s: %q is not the name of a file in %s", s.Name, s.File, s.Path)
		}
		switch st, err := os.Stat(s.Path); {
		case err != nil:
			return fmt.Errorf("share %s: %w", s.Name, err)
		case !st.IsDir():
			return fmt.Errorf("share %s: %s is not a directory", s.Name, s.Path)
		}
	}
	return nil
}
