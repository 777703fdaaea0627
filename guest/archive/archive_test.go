//go:build linux

package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/ext4/ext4test"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openRoot(t *testing.T, dir string) Root {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return Root(fd)
}

func write(t *testing.T, name, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(content), 0o644))
}

// TestThereAndBack unpacks what was packed.
func TestThereAndBack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(from, "tree", name) }
	write(t, at("file"), "content")
	write(t, at("a/b/c"), strings.Repeat("deep", 100_000))
	write(t, at(strings.Repeat("n", 255)), "")
	must(t, os.Link(at("file"), at("hard")))
	must(t, os.Symlink("../nowhere", at("link")))
	must(t, unix.Mkfifo(at("fifo"), 0o640))
	must(t, unix.Mknod(at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, os.Lchown(at("a"), 1000, 70000))
	must(t, unix.Chmod(at("file"), 0o6755))
	must(t, unix.Setxattr(at("file"), "user.a", []byte("\x00b"), 0))
	must(t, os.WriteFile(at("sparse"), nil, 0o600))
	must(t, os.Truncate(at("sparse"), 20<<20))
	must(t, os.Chtimes(at("a/b"), time.Time{}, time.Unix(-5, 123456789)))
	must(t, os.Chtimes(at("a"), time.Time{}, time.Unix(5_000_000_000, 1)))

	var packed bytes.Buffer
	must(t, openRoot(t, from).Pack(&packed, "/tree"))
	must(t, openRoot(t, to).Unpack(&packed, "/", Options{}))
	if diff := cmp.Diff(ext4test.Walk(t, from+"/tree"), ext4test.Walk(t, to+"/tree")); diff != "" {
		t.Errorf("(-packed +unpacked)\n%s", diff)
	}
	var st unix.Stat_t
	must(t, unix.Stat(to+"/tree/sparse", &st))
	if st.Blocks > 100 {
		t.Errorf("the sparse file takes %d blocks", st.Blocks)
	}
}

// TestNames has docker's names for what a path stands for.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/d/f", "")
	must(t, os.Symlink("/d", dir+"/l"))
	for name, want := range map[string][]string{
		"/d": {"d/", "d/f"}, "/d/": {"d/", "d/f"}, "/d/.": {"./", "./f"}, "/d/f": {"f"}, "/l": {"l"}, "/l/": {"l/", "l/f"},
		"../../d/f": {"f"}, "/": {"/", "/d/", "/d/f", "/l"},
	} {
		var packed bytes.Buffer
		if err := openRoot(t, dir).Pack(&packed, name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for r := tar.NewReader(&packed); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			got = append(got, h.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := openRoot(t, dir).Pack(&bytes.Buffer{}, "/d/f/"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a file with a slash: %v", err)
	}
	if _, target, err := openRoot(t, dir).Stat("/l"); target != "/d" || err != nil {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
}

func archived(t *testing.T, headers ...tar.Header) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		h.Mode = 0o700
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(content))
			must(t, err)
		}
	}
	must(t, w.Close())
	return &b
}

// TestConfined unpacks what tries to get out of the root.
func TestConfined(t *testing.T) {
	base := t.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "outside")
	write(t, outside+"/victim", "victim")
	must(t, os.MkdirAll(root+"/in", 0o755))
	must(t, os.Symlink(outside, root+"/in/absolute"))
	must(t, os.Symlink("../../outside", root+"/in/relative"))
	must(t, os.Symlink("/proc/self/cwd", root+"/in/magic"))
	for _, headers := range [][]tar.Header{
		{{Typeflag: tar.TypeReg, Name: "../../outside/victim"}},
		{{Typeflag: tar.TypeReg, Name: "absolute/victim"}},
		{{Typeflag: tar.TypeReg, Name: "relative/victim"}},
		{{Typeflag: tar.TypeReg, Name: "magic/victim"}},
		{{Typeflag: tar.TypeSymlink, Name: "new", Linkname: outside}, {Typeflag: tar.TypeReg, Name: "new/victim"}},
		{{Typeflag: tar.TypeSymlink, Name: "up", Linkname: "../../../../" + outside}, {Typeflag: tar.TypeDir, Name: "up"}, {Typeflag: tar.TypeReg, Name: "up/victim"}},
		{{Typeflag: tar.TypeLink, Name: "stolen", Linkname: "../../outside/victim"}},
		{{Typeflag: tar.TypeLink, Name: "stolen", Linkname: "absolute/victim"}},
	} {
		err := openRoot(t, root).Unpack(archived(t, headers...), "/in", Options{})
		t.Logf("%s: %v", headers[0].Name, err)
	}
	if got, err := os.ReadFile(outside + "/victim"); string(got) != "victim" {
		t.Errorf("outside there is %q (%v)", got, err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v (%v)", entries, err)
	}
}

func TestKinds(t *testing.T) {
	root := t.TempDir()
	write(t, root+"/dir/file", "old")
	r := openRoot(t, root)
	file, dir := tar.Header{Typeflag: tar.TypeReg, Name: "dir"}, tar.Header{Typeflag: tar.TypeDir, Name: "dir/file"}
	for _, h := range []tar.Header{file, dir} {
		if err := r.Unpack(archived(t, h), "/", Options{KeepKinds: true}); !errors.Is(err, ErrKind) {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
	must(t, r.Unpack(archived(t, dir), "/", Options{}))
	must(t, r.Unpack(archived(t, file), "/", Options{}))
	if got, err := os.ReadFile(root + "/dir"); string(got) != "dir" {
		t.Errorf("%q, %v", got, err)
	}
	if err := r.Unpack(archived(t, file), "/dir", Options{}); !errors.Is(err, ErrNotDirectory) {
		t.Errorf("into a file: %v", err)
	}
	if err := r.Unpack(archived(t, file), "/absent", Options{}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("into nothing: %v", err)
	}
	must(t, r.Unpack(archived(t, tar.Header{Typeflag: tar.TypeReg, Name: "made/on/the/way"}), "/", Options{KeepKinds: true}))
}
