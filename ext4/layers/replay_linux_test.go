package layers_test

import (
	"archive/tar"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
)

// replay is a second, plain opinion on what layers become: a map of paths, on
// which each layer is played entry by entry. It knows nothing of the tree that
// the package builds.
type replay map[string]*thing // the root is ""

// thing is what paths stand for; hard links share one.
type thing struct {
	kind byte // as in tar: TypeDir, TypeReg, TypeSymlink
	text string
}

var errReplay = errors.New("cannot be replayed")

func (r replay) layer(items []item) error {
	if err := r.whiteouts(items); err != nil {
		return err
	}
	for _, i := range items {
		name := clean(i.Name)
		if hides(name) {
			continue
		}
		if name == "" {
			if i.Typeflag != tar.TypeDir {
				return errReplay
			}
			continue
		}
		dir, ok := r.resolve(parent(name), true)
		if !ok {
			return errReplay
		}
		at := join(dir, path.Base(name))
		what := &thing{i.Typeflag, i.Linkname + i.body}
		switch i.Typeflag {
		case tar.TypeLink:
			target := clean(i.Linkname)
			above, ok := r.resolve(parent(target), false)
			if what = r[join(above, path.Base(target))]; !ok || target == "" || what == nil || what.kind == tar.TypeDir {
				return errReplay
			}
			if r[at] == what {
				continue
			}
		case tar.TypeDir:
			if was := r[at]; was != nil && was.kind == tar.TypeDir {
				continue
			}
		}
		r.remove(at)
		r[at] = what
	}
	return nil
}

// whiteouts removes what a layer hides, as seen before it.
func (r replay) whiteouts(items []item) error {
	covers := map[string]bool{}
	for _, i := range items {
		name := clean(i.Name)
		switch {
		case hides(name) && path.Base(name) != ".wh..wh..opq":
			covers[join(parent(name), path.Base(name)[4:])] = true
		case i.Typeflag == tar.TypeDir:
			covers[name] = true
		}
	}
	var gone []string
	for _, i := range items {
		name := clean(i.Name)
		if !hides(name) || r.covered(parent(name), covers) {
			continue
		}
		dir, ok := r.resolve(parent(name), false)
		if !ok {
			if dir == "loop" {
				return errReplay
			}
			continue
		}
		if path.Base(name) != ".wh..wh..opq" {
			gone = append(gone, join(dir, path.Base(name)[4:]))
			continue
		}
		for p := range r {
			if p != dir && parent(p) == dir {
				gone = append(gone, p)
			}
		}
	}
	for _, p := range gone {
		r.remove(p)
	}
	return nil
}

func (r replay) covered(dir string, covers map[string]bool) bool {
	if dir == "" {
		return false
	}
	var prefix string
	for _, part := range strings.Split(dir, "/") {
		prefix = join(prefix, part)
		switch t := r[prefix]; {
		case t == nil:
			return false
		case t.kind != tar.TypeDir:
			return covers[prefix]
		}
	}
	return false
}

// resolve finds the directory a path leads to; "loop" and false for one that
// goes in circles.
func (r replay) resolve(p string, create bool) (string, bool) {
	at, parts, steps := "", strings.Split(p, "/"), 0
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = parent(at)
			continue
		}
		next := join(at, part)
		t := r[next]
		if t != nil && t.kind == tar.TypeSymlink {
			if steps++; steps > 255 {
				return "loop", false
			}
			if strings.HasPrefix(t.text, "/") {
				at = ""
			}
			parts = append(strings.Split(t.text, "/"), parts...)
			continue
		}
		if t == nil || t.kind != tar.TypeDir {
			if !create {
				return "", false
			}
			r.remove(next)
			r[next] = &thing{kind: tar.TypeDir}
		}
		at = next
	}
	return at, true
}

func (r replay) remove(p string) {
	for q := range r {
		if q == p || strings.HasPrefix(q, p+"/") {
			delete(r, q)
		}
	}
}

// listing is in the form of the function listing.
func (r replay) listing() []string {
	var lines []string
	first := map[*thing]string{}
	for _, p := range slices.SortedFunc(maps.Keys(r), func(a, b string) int { // the order of a walk
		return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
	}) {
		t := r[p]
		same, again := first[t]
		first[t] = p
		switch {
		case t.kind == tar.TypeDir:
			p += "/"
		case again:
			first[t] = same
			p += "==" + same
		case t.kind == tar.TypeSymlink:
			p += "->" + t.text
		default:
			p += "=" + t.text
		}
		lines = append(lines, p)
	}
	slices.Sort(lines)
	return lines
}

func clean(p string) string     { return path.Clean("/" + p)[1:] }
func hides(p string) bool       { return strings.HasPrefix(path.Base(p), ".wh.") }
func join(dir, n string) string { return strings.TrimPrefix(dir+"/"+n, "/") }
func parent(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}
