package layers

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/skerry-app/skerry/ext4"
)

// maxSymlinks is how many symbolic links are followed on the way to a
// directory, as containerd has it.
const maxSymlinks = 255

// tree is the image's file system as far as it has been merged.
type tree struct {
	root  *ext4.Node
	gone  func(*ext4.Node) // called with files that have lost their last name
	spent *spent
}

// apply puts a layer on top: first what it hides of the layers below,
// wherever in the archive that is said, then its entries in order.
func (t *tree) apply(c *changeset) error {
	if err := t.hide(c); err != nil {
		return err
	}
	for i := range c.entries {
		if err := t.put(&c.entries[i]); err != nil {
			return fmt.Errorf("entry %.300q: %w", c.entries[i].path, err)
		}
	}
	return nil
}

// hide applies a layer's whiteouts. They are all looked up before the first
// has an effect, so their order is of none.
func (t *tree) hide(c *changeset) error {
	replaced := map[string]bool{} // paths where nothing of the layers below is to be seen through a symbolic link
	for _, e := range c.entries {
		if e.node != nil && e.node.IsDir() {
			replaced[e.path] = true
		}
	}
	for _, w := range c.whiteouts {
		if w.name != "" {
			replaced[path.Join(w.dir, w.name)] = true
		}
	}
	dirs := make([]*ext4.Node, len(c.whiteouts))
	for i, w := range c.whiteouts {
		if t.covered(w.dir, replaced) {
			continue
		}
		dir, _, err := t.walk(w.dir, false)
		if err != nil {
			return fmt.Errorf("whiteout of %.300q in %.300q: %w", w.name, w.dir, err)
		}
		dirs[i] = dir
	}
	for i, w := range c.whiteouts {
		dir := dirs[i]
		switch {
		case dir == nil: // nothing to hide
		case w.name != "":
			dir.Remove(w.name, t.gone)
		default:
			for _, name := range dir.Names() {
				dir.Remove(name, t.gone)
			}
		}
	}
	return nil
}

// covered says whether a path, as it is written, leads through a symbolic link
// of the layers below that the layer itself replaces.
func (t *tree) covered(dir string, replaced map[string]bool) bool {
	n := t.root
	for at := 0; at < len(dir); {
		end := at + strings.IndexByte(dir[at:]+"/", '/')
		if n = n.Entry(dir[at:end]); n == nil || n.IsDir() {
			if n == nil {
				return false
			}
			at = end + 1
			continue
		}
		return replaced[dir[:end]]
	}
	return false
}

// put gives an entry its name.
func (t *tree) put(e *entry) error {
	if e.path == "" {
		if e.node == nil || !e.node.IsDir() {
			return errors.New("root of the file system is not a directory")
		}
		describe(t.root, e.node)
		return nil
	}
	above, name := path.Split(e.path)
	dir, depth, err := t.walk(above, true)
	if err != nil {
		return err
	}
	node := e.node
	if node == nil {
		if node, err = t.target(e.target); err != nil {
			return err
		}
	}
	was := dir.Entry(name)
	switch {
	case was == node: // a hard link to itself
	case was != nil && was.IsDir() && node.IsDir():
		describe(was, node)
	case node.IsDir() && depth >= maxDepth:
		return fmt.Errorf("more than %d directories in each other", maxDepth)
	default:
		dir.Replace(name, node, t.gone)
	}
	return nil
}

// describe gives a directory the attributes of another one.
func describe(dir, as *ext4.Node) {
	dir.Mode, dir.UID, dir.GID = as.Mode, as.UID, as.GID
	dir.Mtime, dir.Atime, dir.Ctime = as.Mtime, as.Atime, as.Ctime
	dir.Xattrs = as.Xattrs
}

// target returns what a hard link is a further name of: a symbolic link
// itself, not what it points to.
func (t *tree) target(p string) (*ext4.Node, error) {
	above, name := path.Split(p)
	dir, _, err := t.walk(above, false)
	if err != nil {
		return nil, fmt.Errorf("target %.300q of the hard link: %w", p, err)
	}
	var n *ext4.Node
	if dir != nil {
		n = dir.Entry(name)
	}
	if n == nil {
		return nil, fmt.Errorf("target %.300q of the hard link does not exist", p)
	}
	if n.IsDir() {
		return nil, fmt.Errorf("target %.300q of the hard link is a directory", p)
	}
	return n, nil
}

// walk returns the directory that a path leads to, and how many directories
// that is below the root. Symbolic links are followed and never lead above the
// root. What is missing, or is no directory, becomes one if create is set; if
// it is not, walk returns nil.
func (t *tree) walk(p string, create bool) (*ext4.Node, int, error) {
	way := []*ext4.Node{t.root}
	links := 0
	for rest := p; rest != ""; {
		part, after, _ := strings.Cut(rest, "/")
		rest = after
		dir := way[len(way)-1]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			way = way[:max(1, len(way)-1)]
			continue
		}
		n := dir.Entry(part)
		switch {
		case n != nil && n.IsDir():
		case n != nil && n.IsSymlink():
			if links++; links > maxSymlinks {
				return nil, 0, fmt.Errorf("more than %d symbolic links on the way to %.300q", maxSymlinks, p)
			}
			if strings.HasPrefix(n.Target, "/") {
				way = way[:1]
			}
			rest = n.Target + "/" + rest
			continue
		case !create:
			return nil, 0, nil
		default:
			var err error
			if n, err = t.implied(len(way), part); err != nil {
				return nil, 0, err
			}
			dir.Replace(part, n, t.gone)
		}
		way = append(way, n)
	}
	return way[len(way)-1], len(way) - 1, nil
}

// implied returns a directory that no entry describes but one is in.
func (t *tree) implied(depth int, name string) (*ext4.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d directories in each other", maxDepth)
	}
	if _, err := cleanPath(name); err != nil { // it may come from a link's target
		return nil, err
	}
	return ext4.NewDir(0o755), t.spent.node(len(name))
}
