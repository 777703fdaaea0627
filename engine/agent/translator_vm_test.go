//go:build linux

package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-app/skerry/engine/vm"
	"github.com/skerry-app/skerry/guest/api"
)

// TestTranslationCache has a translator with a program beside it that keeps
// translations, as Rosetta comes with one. There is no Rosetta here: the program
// is one of our own that makes its socket where, and as, Rosetta's does.
func TestTranslationCache(t *testing.T) {
	tool, err := probe()
	must(t, err)
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Skip("qemu-aarch64-static is missing: install qemu-user-static")
	}
	interpreter, err := os.ReadFile(qemu)
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "translator"), interpreter, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "keeper"), tool, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "failing"), []byte("#!/no/such/interpreter\n"), 0o755))
	image := newImage(t, nil)
	for name, test := range map[string]struct{ program, want string }{
		"works":     {"keeper", "user 65534"},
		"fails":     {"failing", "none"},
		"is absent": {"nothing", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			g := boot(t, bootOptions{image: image, shares: []vm.Share{{Name: "rosetta", Path: dir, ReadOnly: true}},
				configure: func(r *api.ConfigureRequest) {
					r.Translators = []*api.Translator{{Name: "rosetta", ShareTag: vm.ShareTag, Path: "rosetta/translator", Magic: []byte("never seen"), Mask: []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Flags: "OCF",
						Cache: &api.TranslationCache{Path: "rosetta/" + test.program, Socket: "/run/rosettad/rosetta.sock", Bytes: 16 << 20}}}
				}})
			r := g.run(t, &api.Process{Args: []string{"sh", "-c", "probe listen /run/rosettad/rosetta.sock || echo none"}, User: "anna"}, nil)
			if strings.TrimSpace(r.out) != test.want {
				t.Errorf("a container's user hears %+v, want %q", r, test.want)
			}
			g.shutDown(t)
		})
	}
}
