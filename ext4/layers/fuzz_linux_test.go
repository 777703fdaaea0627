package layers_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skerry-app/skerry/ext4/ext4test"
	"github.com/skerry-app/skerry/ext4/layers"
)

// imagine makes layers of few names, so that they get into each other's way.
// Each three bytes are an entry or the end of a layer.
func imagine(in []byte) [][]item {
	names := []string{"a", "b", "c", "a/b", "b/a", "a/b/c", "c/a", "c/b/a", "b/c/a/b", "../a/./c", "a/../b/b"}
	targets := []string{"a", "b", "/c", "../b", "a/b", "../../c/b", ".", "/", "b/c"}
	all := [][]item{nil}
	for i := 0; i+2 < len(in) && i < 3*60; i += 3 {
		name, target := names[int(in[i+1])%len(names)], int(in[i+2])
		var it item
		switch in[i] % 10 {
		case 0, 1, 5:
			it = file(name, fmt.Sprint("contents ", i))
		case 2, 3:
			it = dir(name)
		case 4:
			it = symlink(name, targets[target%len(targets)])
		case 6:
			it = hard(name, names[target%len(names)])
		case 7:
			it = file(join(parent(name), ".wh."+name[strings.LastIndexByte(name, '/')+1:]), "")
		case 8:
			it = file(name+"/.wh..wh..opq", "")
		case 9:
			all = append(all, nil)
			continue
		}
		all[len(all)-1] = append(all[len(all)-1], it)
	}
	return all
}

// FuzzMerge compares what the kernel sees with a plain replay of the layers.
// Where the replay cannot go on there must be no image.
func FuzzMerge(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		seed := make([]byte, 30+r.IntN(120))
		for i := range seed {
			seed[i] = byte(r.Uint32())
		}
		for i := 0; i < len(seed); i += 3 {
			if seed[i]%10 == 6 && r.IntN(4) > 0 { // most hard links lead nowhere, which ends the replay
				seed[i]--
			}
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want := replay{}
		var packed [][]byte
		var bad error
		for _, items := range imagine(in) {
			packed = append(packed, pack(t, items...))
			if bad == nil {
				bad = want.layer(items)
			}
		}
		path, _, err := write(t, archives(packed...), layersOptions)
		if (err != nil) != (bad != nil) {
			t.Fatalf("error %v, but the replay says %v", err, bad)
		}
		if err != nil {
			return
		}
		ext4test.Fsck(t, path)
		dir, unmount := ext4test.Mount(t, path, "ro")
		defer unmount()
		if diff := cmp.Diff(want.listing(), listing(t, dir)); diff != "" {
			t.Errorf("tree (-replay +image):\n%s", diff)
		}
	})
}

// FuzzArchive gives bytes as a layer: there is an image that e2fsck finds
// clean, or an error.
func FuzzArchive(f *testing.F) {
	items, _ := attributed()
	items[0].Name = "."
	p := pack(f, items...)
	f.Add(p[:min(len(p), 20000)])
	f.Add(zip(f, pack(f, file("f", "1"), hard("g", "f"))))
	f.Add(squeeze(f, pack(f, symlink("f", "/"), file("f/g", ""))))
	f.Fuzz(func(t *testing.T, in []byte) {
		path, _, err := write(t, []layers.Layer{stored(in)}, layers.Options{MaxBytes: 16 << 20})
		if err == nil {
			ext4test.Fsck(t, path)
		}
	})
}
