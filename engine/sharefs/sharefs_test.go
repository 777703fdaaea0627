//go:build linux

package sharefs

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// guest asks a server what a guest's kernel does, as a user of the guest.
type guest struct {
	t *testing.T
	s *Server
	fuse.Owner
	unique uint64
}

// serve shares directories, each under its own base name.
func serve(t *testing.T, shares ...Share) *guest {
	t.Helper()
	s, err := New(shares, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	g := &guest{t: t, s: s}
	in := fuse.InitIn{Major: 7, Minor: 39, MaxReadAhead: 1 << 17}
	in.Flags = 1<<32 - 1
	if _, code := g.ask(26, 0, bytesOf(&in)[headerSize:], 64); code != fuse.OK {
		t.Fatal("INIT: ", code)
	}
	return g
}

func bytesOf[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

// ask sends a request, with the body after its header, and returns the body of
// the reply.
func (g *guest) ask(op uint32, node uint64, body []byte, room int) ([]byte, fuse.Status) {
	g.t.Helper()
	g.unique++
	h := fuse.InHeader{Length: uint32(headerSize + len(body)), Opcode: op, Unique: g.unique, NodeId: node, Caller: fuse.Caller{Owner: g.Owner}}
	reply := make([]byte, replySize+room)
	half := len(reply) / 2
	n := g.s.Handle([][]byte{bytesOf(&h), body}, [][]byte{reply[:half], reply[half:]})
	if n < replySize {
		g.t.Fatalf("operation %d: a reply of %d bytes", op, n)
	}
	out := (*fuse.OutHeader)(unsafe.Pointer(&reply[0]))
	if out.Unique != g.unique || int(out.Length) != n {
		g.t.Fatalf("operation %d: reply header %+v, length %d", op, *out, n)
	}
	return reply[replySize:n], fuse.Status(-out.Status)
}

func text(names ...string) []byte { return []byte(strings.Join(names, "\x00") + "\x00") }

// tail is a structure without its header, and names after it.
func tail[T any](v T, names ...string) []byte {
	b := bytes.Clone(bytesOf(&v)[headerSize:])
	if len(names) > 0 {
		b = append(b, text(names...)...)
	}
	return b
}

func (g *guest) lookup(dir uint64, name string) (fuse.EntryOut, fuse.Status) {
	g.t.Helper()
	b, code := g.ask(1, dir, text(name), 256)
	if code != fuse.OK {
		return fuse.EntryOut{}, code
	}
	return *(*fuse.EntryOut)(unsafe.Pointer(&b[0])), code
}

// walk looks a path up and wants it to be there.
func (g *guest) walk(path string) fuse.EntryOut {
	g.t.Helper()
	e := fuse.EntryOut{NodeId: fuse.FUSE_ROOT_ID}
	for name := range strings.SplitSeq(path, "/") {
		var code fuse.Status
		if e, code = g.lookup(e.NodeId, name); code != fuse.OK {
			g.t.Fatalf("%s of %s: %v", name, path, code)
		}
	}
	return e
}

func (g *guest) create(dir uint64, name, content string) fuse.Status {
	g.t.Helper()
	b, code := g.ask(35, dir, tail(fuse.CreateIn{Flags: unix.O_RDWR, Mode: unix.S_IFREG | 0o664}, name), 256)
	if code != fuse.OK {
		return code
	}
	out := *(*fuse.CreateOut)(unsafe.Pointer(&b[0]))
	_, code = g.ask(16, out.NodeId, append(tail(fuse.WriteIn{Fh: out.Fh, Size: uint32(len(content))}), content...), 64)
	g.ask(18, out.NodeId, tail(fuse.ReleaseIn{Fh: out.Fh}), 64)
	return code
}

func (g *guest) open(e fuse.EntryOut, flags uint32) (uint64, fuse.Status) {
	g.t.Helper()
	op := uint32(14)
	if e.Mode&unix.S_IFMT == unix.S_IFDIR {
		op = 27
	}
	b, code := g.ask(op, e.NodeId, tail(fuse.OpenIn{Flags: flags}), 64)
	if code != fuse.OK {
		return 0, code
	}
	return (*fuse.OpenOut)(unsafe.Pointer(&b[0])).Fh, code
}

func (g *guest) read(path string) string {
	g.t.Helper()
	e := g.walk(path)
	fh, code := g.open(e, unix.O_RDONLY)
	if code != fuse.OK {
		g.t.Fatalf("open %s: %v", path, code)
	}
	b, code := g.ask(15, e.NodeId, tail(fuse.ReadIn{Fh: fh, Size: 4096}), 4096)
	g.ask(18, e.NodeId, tail(fuse.ReleaseIn{Fh: fh}), 64)
	if code != fuse.OK {
		g.t.Fatalf("read %s: %v", path, code)
	}
	return string(b)
}

// list lists a directory with a small buffer, so that several requests are
// needed.
func (g *guest) list(e fuse.EntryOut) (names []string) {
	g.t.Helper()
	fh, code := g.open(e, 0)
	if code != fuse.OK {
		g.t.Fatal("open directory: ", code)
	}
	for offset := uint64(0); ; {
		b, code := g.ask(28, e.NodeId, tail(fuse.ReadIn{Fh: fh, Offset: offset, Size: 512}), 512)
		if code != fuse.OK {
			g.t.Fatal("read directory: ", code)
		}
		entries, err := fuse.ParseDirEntries(b)
		if err != nil {
			g.t.Fatal(err)
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			names = append(names, e.Name)
			offset = e.Off
		}
	}
	g.ask(29, e.NodeId, tail(fuse.ReleaseIn{Fh: fh}), 64)
	sort.Strings(names)
	return names
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s has %q (%v), want %q", path, got, err, want)
	}
}

// TestFiles goes through a file's life.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a/hello"), "hello")
	g := serve(t, Share{Name: "s", Path: dir})
	if got := g.read("s/a/hello"); got != "hello" {
		t.Errorf("read %q", got)
	}
	a := g.walk("s/a").NodeId
	if code := g.create(a, "new", "written"); code != fuse.OK {
		t.Fatal("create: ", code)
	}
	wantContent(t, filepath.Join(dir, "a/new"), "written")
	if st, err := os.Stat(filepath.Join(dir, "a/new")); err != nil || st.Mode() != 0o664 {
		t.Errorf("the new file's mode is %v (%v), want what the guest asked for", st.Mode(), err)
	}
	for _, step := range []struct {
		what string
		op   uint32
		node uint64
		body []byte
		want fuse.Status
	}{
		{"mkdir", 9, a, tail(fuse.MkdirIn{Mode: 0o777}, "d"), fuse.OK},
		{"mkdir again", 9, a, tail(fuse.MkdirIn{Mode: 0o777}, "d"), fuse.Status(unix.EEXIST)},
		{"rename", 12, a, append(tail(fuse.LinkIn{Oldnodeid: a}), text("new", "old")...), fuse.OK},
		{"rename, what is not there", 12, a, append(tail(fuse.LinkIn{Oldnodeid: a}), text("new", "old")...), fuse.ENOENT},
		{"exchange", 45, a, tail(fuse.RenameIn{Newdir: a, Flags: unix.RENAME_EXCHANGE}, "old", "hello"), fuse.OK},
		{"rename with a whiteout", 45, a, tail(fuse.RenameIn{Newdir: a, Flags: unix.RENAME_WHITEOUT}, "old", "x"), fuse.EINVAL},
		{"symlink", 6, a, text("link", "../../etc"), fuse.OK},
		{"link", 13, a, tail(fuse.LinkIn{Oldnodeid: g.walk("s/a/hello").NodeId}, "hard"), fuse.OK},
		{"link a symlink", 13, a, tail(fuse.LinkIn{Oldnodeid: g.walk("s/a/hello").NodeId}, "hard2"), fuse.OK},
		{"pipe", 8, a, tail(fuse.MknodIn{Mode: unix.S_IFIFO | 0o644}, "fifo"), fuse.OK},
		{"device", 8, a, tail(fuse.MknodIn{Mode: unix.S_IFCHR | 0o644, Rdev: 259}, "null"), fuse.EPERM},
		{"unlink a directory", 10, a, text("d"), fuse.Status(unix.EISDIR)},
		{"rmdir", 11, a, text("d"), fuse.OK},
		{"unlink", 10, a, text("hard2"), fuse.OK},
		{"no node", 3, 1 << 40, tail(fuse.GetAttrIn{}), fuse.Status(unix.ESTALE)},
		{"no handle", 16, a, tail(fuse.WriteIn{Fh: 99}), fuse.EBADF},
		{"a name with a slash", 1, a, text("../../etc"), fuse.EINVAL},
		{"the parent", 1, a, text(".."), fuse.EINVAL},
		{"unlink the parent's", 10, a, text("../x"), fuse.EINVAL},
		{"change the list of shares", 9, fuse.FUSE_ROOT_ID, tail(fuse.MkdirIn{Mode: 0o777}, "d"), fuse.EROFS},
		{"an unknown operation", 48, a, make([]byte, 64), fuse.ENOSYS},
	} {
		if _, code := g.ask(step.op, step.node, step.body, 256); code != step.want {
			t.Errorf("%s: %v, want %v", step.what, code, step.want)
		}
	}
	wantContent(t, filepath.Join(dir, "a/hello"), "written")
	wantContent(t, filepath.Join(dir, "a/hard"), "hello")
	if target, err := os.Readlink(filepath.Join(dir, "a/link")); target != "../../etc" {
		t.Errorf("the link leads to %q (%v)", target, err)
	}
	if b, code := g.ask(5, g.walk("s/a/link").NodeId, nil, 4096); string(b) != "../../etc" {
		t.Errorf("the link reads %q (%v)", b, code)
	}
	want := []string{".", "..", "fifo", "hard", "hello", "link", "old"}
	if d := cmp.Diff(want, g.list(g.walk("s/a"))); d != "" {
		t.Error(d)
	}
	if _, code := g.open(g.walk("s/a/fifo"), unix.O_RDONLY); code != fuse.Status(unix.ENXIO) {
		t.Errorf("open a pipe: %v", code)
	}
}

// TestLargeDirectory lists more names than fit a request or a read.
func TestLargeDirectory(t *testing.T) {
	dir := t.TempDir()
	want := []string{".", ".."}
	for i := range 3000 {
		name := fmt.Sprintf("file %d", i)
		write(t, filepath.Join(dir, name), "")
		want = append(want, name)
	}
	sort.Strings(want)
	g := serve(t, Share{Name: "s", Path: dir})
	if d := cmp.Diff(want, g.list(g.walk("s"))); d != "" {
		t.Error(d)
	}
	// More nodes than descriptors: those that were closed are found again.
	ids := map[string]uint64{}
	for i := range 3000 {
		ids[want[2+i]] = g.walk("s/" + want[2+i]).NodeId
	}
	g.s.nodes.mu.Lock()
	for e := g.s.nodes.open.Back(); e != nil; {
		n := e.Value.(*node)
		e = e.Prev()
		if n.users == 0 {
			g.s.nodes.shut(n)
		}
	}
	g.s.nodes.mu.Unlock()
	if _, code := g.ask(3, ids["file 7"], tail(fuse.GetAttrIn{}), 256); code != fuse.OK {
		t.Errorf("a node without a descriptor: %v", code)
	}
	os.Rename(filepath.Join(dir, "file 8"), filepath.Join(dir, "file 9"))
	if _, code := g.ask(3, ids["file 9"], tail(fuse.GetAttrIn{}), 256); code != fuse.Status(unix.ESTALE) {
		t.Errorf("a node whose file is another now: %v", code)
	}
}

// TestSymlinkRace does what broke the loopback node of go-fuse: the guest knows
// a directory of the share, and somebody puts a link out of the share in its
// place.
func TestSymlinkRace(t *testing.T) {
	base := t.TempDir()
	dir, outside := filepath.Join(base, "share"), filepath.Join(base, "outside")
	write(t, filepath.Join(dir, "d/inner/file"), "inside")
	write(t, filepath.Join(outside, "inner/file"), "secret")
	write(t, filepath.Join(outside, "victim"), "victim")
	g := serve(t, Share{Name: "s", Path: dir})
	d, inner := g.walk("s/d"), g.walk("s/d/inner")

	if err := os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{".", "..", "inner"}, g.list(d)); d != "" {
		t.Error(d)
	}
	if _, code := g.ask(10, d.NodeId, text("victim"), 64); code != fuse.ENOENT {
		t.Errorf("unlink: %v", code)
	}
	if code := g.create(d.NodeId, "planted", "x"); code != fuse.OK {
		t.Errorf("create: %v", code)
	}
	if code := g.create(inner.NodeId, "planted", "x"); code != fuse.OK {
		t.Errorf("create: %v", code)
	}
	// Through the link itself: it is a link, no directory.
	link := g.walk("s/d")
	if link.Mode&unix.S_IFMT != unix.S_IFLNK {
		t.Fatalf("the link has mode %o", link.Mode)
	}
	for _, try := range []struct {
		op   uint32
		body []byte
	}{{1, text("victim")}, {10, text("victim")}, {9, tail(fuse.MkdirIn{Mode: 0o755}, "planted")}, {27, tail(fuse.OpenIn{})}, {14, tail(fuse.OpenIn{})}} {
		if _, code := g.ask(try.op, link.NodeId, try.body, 256); code == fuse.OK {
			t.Errorf("operation %d worked on a link", try.op)
		}
	}
	wantContent(t, filepath.Join(outside, "victim"), "victim")
	wantContent(t, filepath.Join(outside, "inner/file"), "secret")
	wantContent(t, filepath.Join(dir, "moved/planted"), "x")
	if names, err := filepath.Glob(filepath.Join(outside, "*/planted")); err != nil || len(names) > 0 {
		t.Errorf("planted outside: %v (%v)", names, err)
	}
	// Nodes that have lost their descriptors do not find the way out either.
	g.s.nodes.mu.Lock()
	for _, n := range g.s.nodes.byID {
		if n.users == 0 {
			g.s.nodes.shut(n)
		}
	}
	g.s.nodes.mu.Unlock()
	if _, code := g.ask(10, inner.NodeId, text("file"), 64); code != fuse.Status(unix.ESTALE) {
		t.Errorf("unlink in a directory that is not found again: %v", code)
	}
	wantContent(t, filepath.Join(outside, "inner/file"), "secret")
}

// TestReadOnly tries all that changes something.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	g := serve(t, Share{Name: "ro", Path: dir, ReadOnly: true}, Share{Name: "rw", Path: dir})
	root, file := g.walk("ro").NodeId, g.walk("ro/file")
	for _, try := range []struct {
		what string
		op   uint32
		node uint64
		body []byte
	}{
		{"create", 35, root, tail(fuse.CreateIn{Mode: 0o644}, "x")},
		{"mkdir", 9, root, tail(fuse.MkdirIn{Mode: 0o755}, "x")},
		{"mknod", 8, root, tail(fuse.MknodIn{Mode: unix.S_IFREG | 0o644}, "x")},
		{"symlink", 6, root, text("x", "y")},
		{"link", 13, root, tail(fuse.LinkIn{Oldnodeid: file.NodeId}, "x")},
		{"unlink", 10, root, text("file")},
		{"rmdir", 11, root, text("file")},
		{"rename", 45, root, tail(fuse.RenameIn{Newdir: root}, "file", "x")},
		{"chmod", 4, file.NodeId, tail(fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{Valid: fuse.FATTR_MODE}})},
		{"open to write", 14, file.NodeId, tail(fuse.OpenIn{Flags: unix.O_WRONLY})},
		{"open to truncate", 14, file.NodeId, tail(fuse.OpenIn{Flags: unix.O_TRUNC})},
		{"set attribute", 21, file.NodeId, append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, text("user.a", "v")...)},
		{"remove attribute", 24, file.NodeId, text("user.a")},
	} {
		if _, code := g.ask(try.op, try.node, try.body, 256); code != fuse.EROFS {
			t.Errorf("%s: %v, want EROFS", try.what, code)
		}
	}
	fh, _ := g.open(file, unix.O_RDONLY)
	if _, code := g.ask(16, file.NodeId, append(tail(fuse.WriteIn{Fh: fh, Size: 1}), 'x'), 64); code != fuse.EBADF {
		t.Errorf("write to what is open for reading: %v", code)
	}
	if _, code := g.ask(43, file.NodeId, tail(fuse.FallocateIn{Fh: fh, Length: 1 << 20}), 64); code != fuse.EBADF {
		t.Errorf("allocate: %v", code)
	}
	// From one share into the other, of the same directory.
	if _, code := g.ask(13, g.walk("rw").NodeId, tail(fuse.LinkIn{Oldnodeid: file.NodeId}, "x"), 256); code != fuse.Status(unix.EXDEV) {
		t.Errorf("link into another share: %v", code)
	}
	wantContent(t, filepath.Join(dir, "file"), "content")
	if got := g.list(g.walk("ro")); len(got) != 3 {
		t.Errorf("the share has %q", got)
	}
}

// TestOneFile shares a file and nothing beside it.
func TestOneFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	write(t, filepath.Join(dir, "private"), "private")
	g := serve(t, Share{Name: "s", Path: dir, File: "file"})
	root := g.walk("s")
	if d := cmp.Diff([]string{".", "..", "file"}, g.list(root)); d != "" {
		t.Error(d)
	}
	if _, code := g.lookup(root.NodeId, "private"); code != fuse.ENOENT {
		t.Errorf("the file next to it: %v", code)
	}
	if code := g.create(root.NodeId, "file2", ""); code == fuse.OK {
		t.Error("a file was made next to it")
	}
	if got := g.read("s/file"); got != "content" {
		t.Errorf("it has %q", got)
	}
	fh, code := g.open(g.walk("s/file"), unix.O_WRONLY)
	if code != fuse.OK {
		t.Fatal(code)
	}
	g.ask(16, g.walk("s/file").NodeId, append(tail(fuse.WriteIn{Fh: fh, Size: 3}), "CON"...), 64)
	wantContent(t, filepath.Join(dir, "file"), "CONtent")
}

// TestOwners sees files belong to whoever looks, until they are given away.
func TestOwners(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "content")
	g := serve(t, Share{Name: "s", Path: dir})
	file := g.walk("s/file").NodeId
	as := func(uid uint32) *guest { o := *g; o.Owner = fuse.Owner{Uid: uid, Gid: uid}; return &o }
	for _, uid := range []uint32{1000, 0} {
		if e := as(uid).walk("s/file"); e.Uid != uid || e.Gid != uid || e.AttrTimeout() != 0 {
			t.Errorf("user %d sees owner %d:%d for %v", uid, e.Uid, e.Gid, e.AttrTimeout())
		}
	}
	give := fuse.SetAttrInCommon{Valid: fuse.FATTR_UID, Owner: fuse.Owner{Uid: 999}}
	if _, code := g.ask(4, file, tail(fuse.SetAttrIn{SetAttrInCommon: give}), 256); code != fuse.OK {
		t.Fatal("chown: ", code)
	}
	if e := as(1000).walk("s/file"); e.Uid != 999 || e.Gid != 0 {
		t.Errorf("the file that was given to 999 has owner %d:%d", e.Uid, e.Gid)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, "file"), &st); err != nil || int(st.Uid) != os.Getuid() {
		t.Errorf("the host's owner is %d (%v)", st.Uid, err)
	}
	if b, code := g.ask(23, file, tail(fuse.GetXAttrIn{Size: 100}), 100); code != fuse.OK || len(b) > 0 {
		t.Errorf("attributes: %q, %v", b, code)
	}
	mode := fuse.SetAttrInCommon{Valid: fuse.FATTR_MODE, Mode: 0o6755}
	if _, code := g.ask(4, file, tail(fuse.SetAttrIn{SetAttrInCommon: mode}), 256); code != fuse.OK {
		t.Fatal("chmod: ", code)
	}
	if err := unix.Stat(filepath.Join(dir, "file"), &st); err != nil || st.Mode&0o7777 != 0o755 {
		t.Errorf("the mode is %o (%v), want no set-user-ID bit", st.Mode, err)
	}
	for name, want := range map[string]fuse.Status{"user.mine": fuse.OK, "security.capability": fuse.Status(unix.ENOTSUP),
		"trusted.x": fuse.Status(unix.ENOTSUP), ownerAttribute: fuse.Status(unix.ENOTSUP)} {
		if _, code := g.ask(21, file, append([]byte{1, 0, 0, 0, 0, 0, 0, 0}, text(name, "v")...), 64); code != want {
			t.Errorf("set %s: %v, want %v", name, code, want)
		}
	}
	if b, _ := g.ask(23, file, tail(fuse.GetXAttrIn{Size: 100}), 100); string(b) != "user.mine\x00" {
		t.Errorf("attributes: %q", b)
	}
}

// FuzzHandle sends what a hostile guest could.
func FuzzHandle(f *testing.F) {
	dir := f.TempDir()
	os.MkdirAll(filepath.Join(dir, "d"), 0o755)
	os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644)
	for op := range uint32(54) {
		for _, node := range []uint64{1, 2, 3} {
			h := fuse.InHeader{Opcode: op, NodeId: node}
			f.Add(append(bytesOf(&h), make([]byte, 100)...), uint16(4096), uint16(48))
			f.Add(append(bytesOf(&h), "file\x00name\x00"...), uint16(100), uint16(20))
		}
	}
	f.Fuzz(func(t *testing.T, request []byte, room, cut uint16) {
		s, err := New([]Share{{Name: "s", Path: dir, ReadOnly: true}}, slog.New(slog.NewTextHandler(failing{t}, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		g := &guest{t: t, s: s}
		g.walk("s/file")
		e := g.walk("s")
		g.open(e, 0)
		at := min(int(cut), len(request))
		reply := make([]byte, room)
		half := len(reply) / 3
		if n := s.Handle([][]byte{request[:at], request[at:]}, [][]byte{reply[:half], reply[half:]}); n > len(reply) {
			t.Errorf("a reply of %d bytes in %d", n, len(reply))
		}
	})
}

// failing fails a test that logs a mistake.
type failing struct{ t *testing.T }

func (f failing) Write(p []byte) (int, error) { f.t.Errorf("%s", p); return len(p), nil }
