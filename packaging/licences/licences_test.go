package licences

import "testing"

// TestModules finds a licence for each module, as the program is built for each
// platform.
func TestModules(t *testing.T) {
	t.Chdir("../..")
	for _, platform := range [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"darwin", "amd64"}} {
		modules, err := Modules(platform[0], platform[1], "./app")
		if err != nil {
			t.Errorf("%v: %v", platform, err)
		} else if len(modules) < 20 {
			t.Errorf("%v: only %d modules", platform, len(modules))
		}
	}
}

func TestWithout(t *testing.T) {
	if _, err := read(map[string]Module{"m": {Path: "m", Dir: t.TempDir()}}); err == nil {
		t.Error("a module without a licence is taken")
	}
}

func TestKernelBanner(t *testing.T) {
	bzImage := make([]byte, 0x400)
	copy(bzImage[setupMagic:], "HdrS")
	bzImage[setupVersion+1] = 1 // at 0x300
	copy(bzImage[0x300:], "6.12.1-skerry (a@b) #1 SMP\x00rest")
	outside := append([]byte{}, bzImage...)
	outside[setupVersion+1] = 9
	for name, test := range map[string]struct {
		image         []byte
		text, version string
	}{
		"vmlinux":   {[]byte("\x00Linux version 6.12.1-skerry (a@b) #1\n\x00"), "Linux version 6.12.1-skerry (a@b) #1", "6.12.1-skerry"},
		"bzImage":   {bzImage, "6.12.1-skerry (a@b) #1 SMP", "6.12.1-skerry"},
		"outside":   {outside, "", ""},
		"not one":   {make([]byte, 0x400), "", ""},
		"truncated": {bzImage[:0x204], "", ""},
	} {
		if text, version := kernelBanner(test.image); string(text) != test.text || string(version) != test.version {
			t.Errorf("%s: %q, %q", name, text, version)
		}
	}
}
