package login

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// awkward is a program in a directory whose name means something to everybody
// who reads it on the way.
const awkward = `some of $HOME; #1`

// session is a user's configuration and the system's, and a program to start.
type session struct{ user, system, program string }

func newSession(t *testing.T) session {
	dir := t.TempDir()
	s := session{user: filepath.Join(dir, "user"), system: filepath.Join(dir, "system"), program: filepath.Join(dir, awkward, "skerry")}
	t.Setenv("XDG_CONFIG_HOME", s.user)
	t.Setenv("XDG_CONFIG_DIRS", s.system)
	if err := os.MkdirAll(filepath.Dir(s.program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// started is the unit that systemd makes of the entries, empty if it makes none.
func started(t *testing.T) string {
	t.Helper()
	units := t.TempDir()
	generator := exec.Command("/usr/lib/systemd/user-generators/systemd-xdg-autostart-generator", units, units, units)
	generator.Env = append(os.Environ(), "SYSTEMD_LOG_TARGET=console")
	if out, err := generator.CombinedOutput(); err != nil {
		t.Fatalf("%v: apt-get install systemd\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(units, "*.service"))
	if err != nil || len(files) == 0 {
		return ""
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	// systemd-analyze looks for the user's session.
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
}

func mustBe(t *testing.T, want State) {
	t.Helper()
	if got, err := Get(); err != nil || got != want {
		t.Errorf("state: %q, %v; want %q", got, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEntry(t *testing.T) {
	s := newSession(t)
	mustBe(t, Off)
	must(t, Disable()) // of what is off
	must(t, Enable(Options{Program: s.program}))
	must(t, Enable(Options{Program: s.program}))
	mustBe(t, On)
	run(t, "desktop-file-validate", entryPath(s.user))
	if unit := started(t); !strings.Contains(unit, " app\n") {
		t.Errorf("systemd does not start the app:\n%s", unit)
	}
	must(t, Disable())
	mustBe(t, Off)
	if unit := started(t); unit != "" {
		t.Errorf("systemd starts the app although it is off:\n%s", unit)
	}
}

func TestSystemEntry(t *testing.T) {
	s := newSession(t)
	must(t, write(entryPath(s.system), entry(s.program)))
	mustBe(t, On)
	must(t, Disable())
	mustBe(t, Off)
	if unit := started(t); unit != "" {
		t.Errorf("systemd starts the app although it is off:\n%s", unit)
	}
	run(t, "desktop-file-validate", entryPath(s.user))
	must(t, Enable(Options{Program: s.program}))
	mustBe(t, On)
}

func TestHiddenElsewhere(t *testing.T) {
	s := newSession(t)
	for _, line := range []string{"Hidden=true", "Hidden = true", "X-GNOME-Autostart-enabled=false"} {
		must(t, write(entryPath(s.user), "[Desktop Entry]\nType=Application\nName=Skerry\nExec=skerry\n"+line+"\n"))
		mustBe(t, Off)
	}
	must(t, write(entryPath(s.user), "[Desktop Entry]\nType=Application\nName=Skerry\nExec=skerry\n[Other]\nHidden=true\n"))
	mustBe(t, On)
}

func TestUnit(t *testing.T) {
	s := newSession(t)
	must(t, Enable(Options{Program: s.program}))
	must(t, Enable(Options{Program: s.program, Headless: true}))
	must(t, Enable(Options{Program: s.program, Headless: true}))
	mustBe(t, On)
	if unit := started(t); unit != "" {
		t.Errorf("the session starts a second app:\n%s", unit)
	}
	c, err := findConfig()
	must(t, err)
	// It complains of a program that it does not find at the path it has read.
	run(t, "systemd-analyze", "verify", "--user", "--man=no", c.unitPath())
	if target, err := os.Readlink(c.wantPath()); err != nil || target != c.unitPath() {
		t.Errorf("the link that enables it: %q, %v", target, err)
	}
	must(t, Enable(Options{Program: s.program}))
	if on, err := c.unitOn(); on || err != nil {
		t.Errorf("both start the app: %v", err)
	}
	must(t, Disable())
	mustBe(t, Off)
}

// TestProgramNobodyStarts asks for a program whose path systemd refuses.
func TestProgramNobodyStarts(t *testing.T) {
	newSession(t)
	for _, program := range []string{`/opt/it's/skerry`, `/opt/"a"/skerry`, `/opt/a\b/skerry`, `/opt/5%/skerry`, "/opt/a\nb/skerry", "skerry"} {
		for _, headless := range []bool{false, true} {
			if err := Enable(Options{Program: program, Headless: headless}); err == nil {
				t.Errorf("%q (headless %v): it is taken", program, headless)
			}
		}
	}
	mustBe(t, Off)
}
