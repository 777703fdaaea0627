package layers_test

import (
	"archive/tar"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/ext4/ext4test"
)

// listing writes a mounted tree down: directories end in "/", files have
// "=contents", symbolic links "->target", further names of a file "==first",
// and all others "?".
func listing(t testing.TB, root string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, _ := filepath.Rel(root, path)
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		same, again := first[st.Ino]
		first[st.Ino] = name
		switch {
		case d.IsDir():
			name += "/"
		case again:
			name += "==" + same
			first[st.Ino] = same
		case d.Type().IsRegular():
			p, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			name += "=" + string(p)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			name += "->" + target
		default:
			name += "?"
		}
		lines = append(lines, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

var long = strings.Repeat("n", 255)

// merges are images of which the rules say what they must look like.
var merges = []struct {
	name   string
	layers [][]item
	want   []string
}{
	{"nothing", [][]item{{}, {}}, nil},
	{"upper adds and replaces", [][]item{{dir("a"), file("a/f", "1"), file("a/g", "2")}, {file("a/f", "3"), file("b", "4")}},
		[]string{"a/", "a/f=3", "a/g=2", "b=4"}},
	{"missing parents", [][]item{{file("a/b/c", "1")}}, []string{"a/", "a/b/", "a/b/c=1"}},
	{"child before parent", [][]item{{file("a/f", "1"), dir("a")}}, []string{"a/", "a/f=1"}},
	{"duplicates", [][]item{{file("f", "1"), file("f", "2"), dir("d"), file("d/x", "3"), dir("d")}}, []string{"d/", "d/x=3", "f=2"}},

	// Whiteouts.
	{"whiteout of a file", [][]item{{file("f", "1"), file("g", "2")}, {file(".wh.f", "")}}, []string{"g=2"}},
	{"whiteout of a directory", [][]item{{file("d/e/f", "1"), file("g", "2")}, {file(".wh.d", "")}}, []string{"g=2"}},
	{"whiteout deep", [][]item{{file("d/e/f", "1")}, {file("d/.wh.e", "")}}, []string{"d/"}},
	{"whiteout of what is missing", [][]item{{file("f", "1")}, {file(".wh.g", ""), file("no/dir/.wh.x", "")}}, []string{"f=1"}},
	{"whiteout, then again", [][]item{{file("d/old", "1")}, {file(".wh.d", ""), dir("d"), file("d/new", "2")}}, []string{"d/", "d/new=2"}},
	{"again, then whiteout", [][]item{{file("d/old", "1")}, {dir("d"), file("d/new", "2"), file(".wh.d", "")}}, []string{"d/", "d/new=2"}},
	{"whiteout of the same layer's file", [][]item{{}, {file("f", "1"), file(".wh.f", "")}}, []string{"f=1"}},
	{"whiteout as a directory entry", [][]item{{file("f", "1")}, {dir(".wh.f")}}, nil},
	{"whiteouts in each other", [][]item{{file("a/b/c", "1")}, {file(".wh.a", ""), file("a/.wh.b", ""), file("a/b/.wh.c", "")}}, nil},
	{"opaque", [][]item{{file("d/old", "1"), file("e", "2")}, {dir("d"), file("d/.wh..wh..opq", ""), file("d/new", "3")}}, []string{"d/", "d/new=3", "e=2"}},
	{"opaque last", [][]item{{file("d/old", "1")}, {file("d/new", "3"), file("d/.wh..wh..opq", "")}}, []string{"d/", "d/new=3"}},
	{"opaque root", [][]item{{file("d/old", "1"), file("f", "2")}, {file(".wh..wh..opq", ""), file("g", "3")}}, []string{"g=3"}},
	{"opaque missing", [][]item{{file("f", "2")}, {file("d/.wh..wh..opq", "")}}, []string{"f=2"}},
	{"opaque, two layers up", [][]item{{file("d/1", "1")}, {file("d/2", "2")}, {file("d/.wh..wh..opq", ""), file("d/3", "3")}}, []string{"d/", "d/3=3"}},
	{"aufs' own files", [][]item{{file("f", "1")}, {file(".wh..wh.aufs", ""), dir(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", "x"), dir(".wh..wh.orph")}}, []string{"f=1"}},
	{"whiteout through a symbolic link", [][]item{{file("usr/bin/ls", "1"), file("usr/bin/cp", "2"), symlink("bin", "usr/bin")}, {file("bin/.wh.ls", "")}},
		[]string{"bin->usr/bin", "usr/", "usr/bin/", "usr/bin/cp=2"}},
	{"opaque directory instead of a symbolic link", [][]item{{file("e/keep", "1"), symlink("d", "e")}, {dir("d"), file("d/.wh..wh..opq", ""), file("d/new", "2")}},
		[]string{"d/", "d/new=2", "e/", "e/keep=1"}},
	{"whiteout of a link and below it", [][]item{{file("e/keep", "1"), symlink("d", "e")}, {file("d/.wh.keep", ""), file(".wh.d", "")}}, []string{"e/", "e/keep=1"}},

	// Hard links.
	{"hard link, first name hidden", [][]item{{file("a", "1"), hard("b", "a")}, {file(".wh.a", "")}}, []string{"b=1"}},
	{"hard link, first name replaced", [][]item{{file("a", "1"), hard("b", "a")}, {file("a", "2")}}, []string{"a=2", "b=1"}},
	{"hard link, directory of the first hidden", [][]item{{file("d/a", "1"), hard("b", "d/a")}, {file(".wh.d", "")}}, []string{"b=1"}},
	{"hard link to a lower file", [][]item{{file("a", "1")}, {hard("b", "a")}}, []string{"a=1", "b==a"}},
	{"hard link to a lower file that is replaced afterwards", [][]item{{file("a", "1")}, {hard("b", "a"), file("a", "2")}}, []string{"a=2", "b=1"}},
	{"hard link to a symbolic link", [][]item{{symlink("a", "nowhere"), hard("b", "a")}}, []string{"a->nowhere", "b==a"}},
	{"hard link through a linked directory", [][]item{{file("usr/lib/x", "1"), symlink("lib", "usr/lib"), hard("y", "lib/x"), hard("lib/z", "y")}},
		[]string{"lib->usr/lib", "usr/", "usr/lib/", "usr/lib/x=1", "usr/lib/z==usr/lib/x", "y==usr/lib/x"}},
	{"hard links in a chain", [][]item{{file("a", "1"), hard("b", "a"), hard("c", "b"), hard("d", "c")}}, []string{"a=1", "b==a", "c==a", "d==a"}},
	{"hard link to itself", [][]item{{file("a", "1"), hard("a", "./a")}}, []string{"a=1"}},
	{"hard link instead of a file", [][]item{{file("a", "1"), file("b", "2"), hard("b", "a")}}, []string{"a=1", "b==a"}},
	{"hard link instead of its own directory", [][]item{{file("d/a", "1"), file("d/b", "2")}, {hard("d", "d/a"), file("new", "3")}}, []string{"d=1", "new=3"}},
	{"hard link with an absolute target", [][]item{{file("d/a", "1"), hard("b", "/d/../d/a")}}, []string{"b=1", "d/", "d/a==b"}},
	{"hard link missing its parent", [][]item{{file("a", "1"), hard("x/y", "a")}}, []string{"a=1", "x/", "x/y==a"}},

	// Symbolic links on the way.
	{"parent is a link, one layer", [][]item{{dir("real"), symlink("l", "real"), file("l/f", "1")}}, []string{"l->real", "real/", "real/f=1"}},
	{"parent is a link, lower, absolute", [][]item{{dir("usr"), dir("usr/bin"), symlink("bin", "/usr/bin")}, {file("bin/x", "1")}}, []string{"bin->/usr/bin", "usr/", "usr/bin/", "usr/bin/x=1"}},
	{"parent is a link by a link", [][]item{{dir("a/b"), symlink("c", "a"), symlink("a/d", "../c/b"), file("c/d/f", "1")}},
		[]string{"a/", "a/b/", "a/b/f=1", "a/d->../c/b", "c->a"}},
	{"parent is a dangling link", [][]item{{symlink("l", "no/where"), file("l/f", "1")}}, []string{"l->no/where", "no/", "no/where/", "no/where/f=1"}},
	{"link that leads out", [][]item{{symlink("e", "../../../etc"), file("e/passwd", "1"), symlink("f", "/../.."), file("f/g", "2")}},
		[]string{"e->../../../etc", "etc/", "etc/passwd=1", "f->/../..", "g=2"}},
	{"entry replaces a link, not its target", [][]item{{file("a", "1"), symlink("l", "a")}, {file("l", "2")}}, []string{"a=1", "l=2"}},

	// Other types.
	{"file to directory", [][]item{{file("x", "1")}, {dir("x"), file("x/y", "2")}}, []string{"x/", "x/y=2"}},
	{"file to directory, implied", [][]item{{file("x", "1")}, {file("x/y", "2")}}, []string{"x/", "x/y=2"}},
	{"directory to file", [][]item{{file("x/y/z", "1")}, {file("x", "2")}}, []string{"x=2"}},
	{"directory to link", [][]item{{file("x/y", "1"), dir("z")}, {symlink("x", "z")}}, []string{"x->z", "z/"}},
	{"link to directory", [][]item{{file("z/f", "1"), symlink("x", "z")}, {dir("x"), file("x/y", "2")}}, []string{"x/", "x/y=2", "z/", "z/f=1"}},
	{"file to link and back", [][]item{{file("x", "1"), symlink("y", "x")}, {symlink("x", "y"), file("y", "2")}}, []string{"x->y", "y=2"}},
	{"directory to fifo and back", [][]item{{file("x/y", "1"), fifo("p")}, {fifo("x"), file("p/q", "2")}}, []string{"p/", "p/q=2", "x?"}},

	// Names.
	{"names that leave and come back", [][]item{{file("../../a", "1"), file("/b", "2"), file("./c/./d", "3"), file("x/../e", "4"), dir("./")}},
		[]string{"a=1", "b=2", "c/", "c/d=3", "e=4"}},
	{"names of odd bytes", [][]item{{file("\xff\xfe", "1"), file("new\nline", "2"), file("back\\slash", "3"), file(" ", "4"), file("ü", "5")}},
		[]string{" =4", "back\\slash=3", "new\nline=2", "ü=5", "\xff\xfe=1"}},
	{"longest name", [][]item{{file(long, "1"), file(long+"/x", "2")}}, []string{long + "/", long + "/x=2"}},
	{"global header", [][]item{{{Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"comment": "1"}}}, file("f", "1")}}, []string{"f=1"}},
	{"old directory", [][]item{{entry(0, "d/", "", "", 0o755).with(func(h *tar.Header) { h.Format = tar.FormatGNU }), file("d/f", "1")}}, []string{"d/", "d/f=1"}},
	{"contiguous file", [][]item{{entry(tar.TypeCont, "f", "", "1", 0o644)}}, []string{"f=1"}},
}

// TestMerge has the kernel show what layers become.
func TestMerge(t *testing.T) {
	for _, c := range merges {
		t.Run(c.name, func(t *testing.T) {
			var packed [][]byte
			for _, items := range c.layers {
				packed = append(packed, pack(t, items...))
			}
			path, _, err := write(t, archives(packed...), layersOptions)
			if err != nil {
				t.Fatal(err)
			}
			ext4test.Fsck(t, path)
			dir, _ := ext4test.Mount(t, path, "ro")
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, listing(t, dir)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}
