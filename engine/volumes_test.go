package engine

import (
	"os"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/skerry-app/skerry/engine/image"
)

func testVolumes(t *testing.T) *volumes {
	t.Helper()
	h := home(t.TempDir())
	if err := h.make(); err != nil {
		t.Fatal(err)
	}
	v := &volumes{home: h, disks: &image.Cache{}}
	if err := v.open(); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVolumeLife(t *testing.T) {
	v := testVolumes(t)
	for i, want := range []bool{true, false} {
		vol, made, err := v.make(Volume{Name: "data", Labels: map[string]string{"n": strings.Repeat("x", i)}})
		if err != nil || made != want || vol.Labels["n"] != "" || vol.Path != v.home.volume("data") {
			t.Errorf("make: %+v, %v, %v", vol, made, err)
		}
	}
	if st, err := os.Stat(v.disk("data")); err != nil || st.Size() != 64<<30 {
		t.Errorf("the disk: %v", err)
	}
	for _, name := range []string{"x", "../data", "a/b", ".hidden", "", "a b"} {
		if _, _, err := v.make(Volume{Name: name}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("make %q: %v", name, err)
		}
		if _, err := v.get(name); !errdefs.IsNotFound(err) {
			t.Errorf("get %q: %v", name, err)
		}
	}
	// What a crash leaves is cleared up.
	if err := os.Mkdir(v.home.volume(prefixNew+"half"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := v.open(); err != nil {
		t.Fatal(err)
	}
	if _, err := v.remove("data"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.remove("data"); !errdefs.IsNotFound(err) {
		t.Errorf("remove again: %v", err)
	}
	if entries, err := os.ReadDir(v.home.volumes()); err != nil || len(entries) > 0 {
		t.Errorf("%v are left (%v)", entries, err)
	}
}

func TestVolumeUse(t *testing.T) {
	v := testVolumes(t)
	for _, name := range []string{"one", "two"} {
		if _, _, err := v.make(Volume{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string) Mount { return Mount{Type: MountVolume, Source: name, Target: "/w" + name} }
	read := func(name string) Mount {
		return Mount{Type: MountVolume, Source: name, Target: "/r" + name, ReadOnly: true}
	}
	use := func(mounts ...Mount) func() {
		t.Helper()
		release, err := v.use("c", mounts)
		if err != nil {
			t.Fatal(err)
		}
		return release
	}
	refused := func(says string, mounts ...Mount) {
		t.Helper()
		if _, err := v.use("d", mounts); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	writer := use(write("one"), read("one"), read("two"))
	refused("container c, which may write", read("one"))
	refused("container c, which may write", write("one"))
	refused("1 containers that read", write("two"))
	reader := use(read("two"))
	writer()
	refused("1 containers that read", write("two"), read("one"))
	use(write("one"))() // all or none: the refused one has left nothing
	reader()
	use(write("two"))()
	if _, err := v.use("c", []Mount{read("none")}); !errdefs.IsNotFound(err) {
		t.Errorf("a volume that is not there: %v", err)
	}
	if len(v.users) > 0 {
		t.Errorf("still in use: %v", v.users)
	}
}

// TestNBDVolume: one that is a network block device has no disk here, and two
// names of the same are one disk.
func TestNBDVolume(t *testing.T) {
	v := testVolumes(t)
	for _, name := range []string{"first", "second"} {
		vol, made, err := v.make(Volume{Name: name, NBD: "nbd://HOST/x"})
		if err != nil || !made || vol.NBD != "nbd://host:10809/x" || vol.Driver() != DriverNBD || vol.Path != "" || vol.Size != 0 {
			t.Errorf("%+v, %v, %v", vol, made, err)
		}
		if again, err := v.get(name); err != nil || again.NBD != vol.NBD || again.Path != "" {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := os.Stat(v.disk(name)); !os.IsNotExist(err) {
			t.Errorf("it has a disk image: %v", err)
		}
	}
	for says, vol := range map[string]Volume{
		"scheme":        {Name: "third", NBD: "http://host/x"},
		"server's":      {Name: "third", NBD: "nbd://host/x", Size: MinVolumeSize},
		"nothing here":  {Name: "third", NBD: "nbd://user:secret@host/x"},
		"volume third:": {Name: "third", NBD: "x"},
	} {
		if _, _, err := v.make(vol); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want %q", vol, err, says)
		}
	}
	release, err := v.use("c", []Mount{{Type: MountVolume, Source: "first", Target: "/a", ReadOnly: true}, {Type: MountVolume, Source: "second", Target: "/b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		if _, err := v.use("d", []Mount{{Type: MountVolume, Source: name, Target: "/a", ReadOnly: true}}); !errdefs.IsConflict(err) || !strings.Contains(err.Error(), "volume "+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
	if len(v.users) > 0 {
		t.Errorf("still in use: %v", v.users)
	}
	if _, err := v.remove("first"); err != nil {
		t.Error(err)
	}
}

// TestRawVolume: a volume's disk is not written to beside its file system.
func TestRawVolume(t *testing.T) {
	v := testVolumes(t)
	if _, _, err := v.make(Volume{Name: "disk", NBD: "nbd://host/x"}); err != nil {
		t.Fatal(err)
	}
	raw := Mount{Type: MountVolume, Source: "disk", Target: "/dev/disk", Raw: true}
	mounted := Mount{Type: MountVolume, Source: "disk", Target: "/data", ReadOnly: true}
	if _, err := v.use("c", []Mount{mounted, raw}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("both: %v", err)
	}
	fixed := raw
	fixed.ReadOnly = true
	for _, mounts := range [][]Mount{{raw}, {raw, raw}, {mounted, fixed}} {
		release, err := v.use("c", mounts)
		if err != nil {
			t.Fatalf("%+v: %v", mounts, err)
		}
		release()
	}
	release, err := v.use("c", []Mount{raw})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.use("d", []Mount{mounted}); !errdefs.IsConflict(err) {
		t.Errorf("beside a writer: %v", err)
	}
	release()
}

func TestCheckMounts(t *testing.T) {
	for _, test := range []struct {
		says   string
		mounts []Mount
	}{
		{"must be absolute", []Mount{{Type: MountTmpfs, Target: "x"}}},
		{"can't be '/'", []Mount{{Type: MountTmpfs, Target: "/x/.."}}},
		{"Duplicate mount point: /x", []Mount{{Type: MountTmpfs, Target: "/x"}, {Type: MountVolume, Target: "/x/"}}},
		{"must be absolute", []Mount{{Type: MountBind, Source: "x", Target: "/x"}}},
		{"invalid characters", []Mount{{Type: MountVolume, Source: "a b", Target: "/x"}}},
		{"must not be specified", []Mount{{Type: MountTmpfs, Source: "a", Target: "/x"}}},
		{"only a volume with a name", []Mount{{Type: MountVolume, Target: "/dev/x", Raw: true}}},
		{"only a volume with a name", []Mount{{Type: MountBind, Source: "/x", Target: "/dev/x", Raw: true}}},
		{"unknown", []Mount{{Type: "nfs", Target: "/x"}}},
		{"", []Mount{{Type: MountVolume, Target: "/x"}, {Type: MountVolume, Source: "ab", Target: "/x/y"}}},
	} {
		err := checkMounts(test.mounts)
		if (err == nil) != (test.says == "") || err != nil && (!errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%+v: %v, want %q", test.mounts, err, test.says)
		}
	}
}

func TestImageVolumes(t *testing.T) {
	got := imageVolumes([]Mount{{Type: MountBind, Source: "/h", Target: "/data/"}}, map[string]struct{}{"/data": {}, "/logs": {}})
	if len(got) != 2 || got[1].Target != "/logs" || got[1].Type != MountVolume {
		t.Errorf("%+v", got)
	}
}

// TestShareOf: a file comes with its directory, whose other files stay out.
func TestShareOf(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	direct, err := shareOf(Mount{Type: MountBind, Source: dir + "/file"})
	if err != nil || direct.Path != dir || direct.File != "file" {
		t.Errorf("%+v, %v", direct, err)
	}
	if linked, err := shareOf(Mount{Type: MountBind, Source: dir + "/link"}); err != nil || linked != direct {
		t.Errorf("by a link %+v, %v", linked, err)
	}
	if whole, err := shareOf(Mount{Type: MountBind, Source: dir, ReadOnly: true}); err != nil || whole.Path != dir || whole.File != "" || whole.Name == direct.Name {
		t.Errorf("%+v, %v", whole, err)
	}
	if _, err := shareOf(Mount{Type: MountBind, Source: dir + "/none"}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := shareOf(Mount{Type: MountBind, Source: "/dev/null"}); !errdefs.IsNotImplemented(err) {
		t.Errorf("a device: %v", err)
	}
}
