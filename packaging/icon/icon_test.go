package icon

import (
	"bytes"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestPNG(t *testing.T) {
	data, err := PNG(64)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, a := picture.At(0, 0).RGBA(); a != 0 {
		t.Error("the corner is not transparent")
	}
	if got := picture.At(32, 30); got != rock {
		t.Errorf("the middle is %v, not rock", got)
	}
}

// TestICNS has libicns take every picture out again.
func TestICNS(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "Skerry.icns")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteICNS(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("icns2png", "-l", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: apt-get install icnsutils\n%s", err, out)
	}
	for _, a := range appleSizes {
		if !bytes.Contains(out, []byte("'"+a.kind+"'")) {
			t.Errorf("icns2png does not find %s:\n%s", a.kind, out)
		}
	}
}
