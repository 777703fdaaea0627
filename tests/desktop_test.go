package tests

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// desktop stands for the programs of a desktop: what they are asked is written
// down, and what their user would answer is read from files.
type desktop struct{ dir string }

func playDesktop(t *testing.T) desktop {
	t.Helper()
	d := desktop{t.TempDir()}
	for name, script := range map[string]string{
		"xdg-open":          `echo "$*" >> "$D/opened"`,
		"code":              `echo "$*" >> "$D/edited"`,
		"xdg-terminal-exec": `echo "$*" >> "$D/terminal"; exec "$@" < /dev/null > "$D/in-terminal" 2>&1`,
		"xclip":             `case "$*" in *-o*) cat "$D/clipboard" ;; *) cat > "$D/clipboard" ;; esac`,
		"zenity":            `test -s "$D/answer" || exit 1; cat "$D/answer"`,
	} {
		text := "#!/bin/sh\nD='" + d.dir + "'\n" + script + "\n"
		must(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o755))
	}
	d.write(t, "clipboard", "nothing of interest")
	return d
}

func (d desktop) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o644))
}

// has tells whether words have been written down.
func (d desktop) has(name, words string) error {
	text, err := os.ReadFile(filepath.Join(d.dir, name))
	if err == nil && !strings.Contains(string(text), words) {
		err = fmt.Errorf("%s is %q, without %q", name, text, words)
	}
	return err
}

// notifications is the desktop's server of notifications.
type notifications struct {
	mu   sync.Mutex
	said []string
}

func playNotifications(t *testing.T, address string) *notifications {
	t.Helper()
	conn, err := dbus.Connect(address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	n := &notifications{}
	must(t, conn.Export(n, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"))
	_, err = conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue)
	must(t, err)
	return n
}

func (n *notifications) Notify(_ string, _ uint32, _, title, text string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, title+": "+text)
	return uint32(len(n.said)), nil
}

func (n *notifications) has(words string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, said := range n.said {
		if strings.Contains(said, words) {
			return nil
		}
	}
	return fmt.Errorf("%q is not among %q", words, n.said)
}

// TestMenuRows clicks every kind of row, while real machines run.
func TestMenuRows(t *testing.T) {
	t.Parallel()
	address := sessionBus(t)
	d := playDesktop(t)
	told := playNotifications(t, address)
	a := &app{tb: t, home: newHome(t), tray: true}
	env := []string{"DBUS_SESSION_BUS_ADDRESS=" + address, "XDG_CONFIG_HOME=" + filepath.Join(a.home, "config"),
		"PATH=" + d.dir + ":" + os.Getenv("PATH"), "DISPLAY=:none", "WAYLAND_DISPLAY="}
	a.start(env...)
	t.Cleanup(func() {
		a.stop()
		a.checkNothingLeft()
	})
	m := playTray(t, address)
	m.a = a

	project := t.TempDir()
	file := filepath.Join(project, "skerry.toml")
	text := `name = "shop"
[defaults]
image = "` + testImage + `"
memory = "128m"
stop_signal = "KILL"
[containers.web]
command = ["sh", "-c", "mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p 80 -h /www"]
ports = ["127.0.0.1::80"]
healthcheck = { tcp = 80, start_period = "1m", start_interval = "200ms" }
[containers.worker]
depends_on = ["web"]
command = ["sh", "-c", "until test -e /die; do sleep 0.1; done; rm /die; exit 3"]
`
	write := func(text string) { must(t, os.WriteFile(file, []byte(text), 0o644)) }
	write(text)
	a.ok("skerry", "pull", testImage)

	// A project is opened, started and looked at.
	m.click("Open Project…") // and the dialog is closed without an answer
	d.write(t, "answer", file+"\n")
	m.click("Open Project…")
	m.click("shop, stopped", "Start")
	m.has("shop, 2 of 2 running")
	m.open()
	m.has("shop, 2 of 2 running", "web, healthy, ...")
	find := func(what, name, words string) {
		t.Helper()
		a.eventually(what, func() error { return d.has(name, words) })
	}
	m.click("shop, 2 of 2 running", "Open http://localhost:...")
	find("the browser opens", "opened", "http://localhost:")
	m.click("shop, 2 of 2 running", "web, ...", "Copy Address")
	find("the address is copied", "clipboard", "10.")
	m.click("shop, 2 of 2 running", "web, ...", "Copy Name")
	find("the name is copied", "clipboard", "shop-web")
	m.click("shop, 2 of 2 running", "web, ...", "View Logs")
	find("a terminal shows logs", "terminal", "logs -f")
	m.click("shop, 2 of 2 running", "web, ...", "Open Terminal")
	find("a terminal opens", "terminal", "exec -it")
	m.click("shop, 2 of 2 running", "web, ...", "Open in Browser")
	m.click("shop, 2 of 2 running", "Edit Project File")
	find("the project file opens", "opened", file)
	m.click("shop, 2 of 2 running", "Show Folder")
	find("the folder opens", "opened", project)

	both := func() { // the menu may still show what was
		t.Helper()
		a.eventually("both run", func() error {
			if n := strings.Count(a.ok("skerry", "ps", "-q"), "\n"); n != 2 {
				return fmt.Errorf("%d run", n)
			}
			return nil
		})
	}

	// What changes in the file is offered, and what breaks in it is told.
	write(strings.Replace(text, `"128m"`, `"192m"`, 1) + "restart = \"on-failure:1\"\n")
	m.click("shop, 2 of 2 running", "Apply Changes (restarts web, ...")
	a.eventually("the change is applied", func() error {
		return has(a.ok("skerry", "inspect", "-f", "{{.HostConfig.Memory}}", "shop-web"), "201326592\n")
	})
	both()
	write(strings.Replace(text, "ports", "prots", 1))
	m.click(`! shop: unknown key "prots"...`)
	find("an editor opens at the line", "edited", file+":8")
	a.eventually("a broken file is told", func() error { return told.has(`shop: `) })
	write(text)
	m.click("shop, 2 of 2 running", "Apply Changes (restarts web, ...")
	a.eventually("the change is taken back", func() error {
		return has(a.ok("skerry", "inspect", "-f", "{{.HostConfig.Memory}}", "shop-web"), "134217728\n")
	})
	both()

	// A container that dies by itself is told of; one that is stopped is not.
	a.ok("skerry", "exec", "shop-worker", "touch", "/die")
	m.click("shop, 1 of 2 running", "worker, exited (3)", "Start")
	m.click("shop, 2 of 2 running", "worker, ...", "Force Stop")
	m.has("shop, 1 of 2 running", "worker, exited (137)")
	m.click("shop, 1 of 2 running", "Start at Login")
	a.eventually("the project starts at login", func() error {
		return has(a.ok("sh", "-c", "cat '"+filepath.Join(a.home, "projects.json")+"'"), `"startAtLogin": true`)
	})
	m.click("shop, 1 of 2 running", "Restart")
	m.has("shop, 2 of 2 running")
	m.click("shop, 2 of 2 running", "Stop")
	m.has("shop, stopped")

	a.ok("skerry", "create", "--name", "alone", testImage)
	m.click("alone, created", "Remove…", "Remove alone and What It Wrote")
	a.eventually("the container is removed", func() error {
		if out := a.ok("skerry", "ps", "-a", "--format", "{{.Names}}"); strings.Contains(out, "alone") {
			return errors.New(out)
		}
		return nil
	})

	// Images: a pull that hangs is cancelled, one that the clipboard names comes.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	hanging := silent.Addr().String() + "/nobody/answers:1"
	d.write(t, "answer", hanging)
	m.click("Images...", "Pull…")
	m.click("Pulling "+hanging, "Cancel")
	a.eventually("the pull is gone", func() error {
		if _, err := m.find("Pulling " + hanging); err == nil {
			return errors.New("it is still shown")
		}
		return nil
	})
	a.ok("skerry", "rmi", "-f", testImage)
	d.write(t, "clipboard", testImage+"\n")
	m.open()
	m.click("Images...", "Pull localhost:...")
	a.eventually("the image is here", func() error {
		return has(a.ok("skerry", "images", "--format", "{{.Repository}}"), strings.TrimSuffix(testImage, ":latest")+"\n")
	})
	m.click("shop, stopped", "Remove Project…", "Remove Its 2 Containers, Keep Its Volumes")
	m.has("No containers")
	m.click("Images...", "Remove Unused...", "Remove 1 Image")
	m.has("Images", "No images")

	entry := filepath.Join(a.home, "config", "autostart", "dev.skerry.Skerry.desktop")
	m.click("Start at Login")
	a.eventually("it starts at login", func() error {
		text, err := os.ReadFile(entry)
		return errors.Join(err, has(string(text), "Exec="))
	})
	m.checked(true, "Start at Login")
	m.click("Start at Login")
	a.eventually("it does not start at login", func() error {
		text, err := os.ReadFile(entry)
		if err == nil && !strings.Contains(string(text), "Hidden=true") {
			return fmt.Errorf("%q", text)
		}
		return nil
	})
	m.click("Help", "Copy Diagnostics")
	find("diagnostics are copied", "clipboard", "driver qemu")
	m.click("Help", "Doctor")
	find("a terminal shows the doctor", "terminal", "doctor")
	m.click("Settings…")
	find("settings open", "opened", filepath.Join(a.home, "config.toml"))
	m.click("Help", "Show Log")
	find("the log opens", "opened", "app.log")
	a.eventually("the death is told", func() error { return told.has("worker has died with exit status 3") })
	if err := told.has("137"); err == nil {
		t.Error("a container that was stopped is said to have died")
	}
}
