package tests

import (
	"bufio"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	watcherName   = "org.kde.StatusNotifierWatcher"
	watcherPath   = "/StatusNotifierWatcher"
	menuInterface = "com.canonical.dbusmenu"
)

// TestMenu plays the desktop's tray and clicks rows of the menu, while the app
// runs a real machine.
func TestMenu(t *testing.T) {
	t.Parallel()
	address := sessionBus(t)
	a := &app{tb: t, home: newHome(t), tray: true}
	a.start("DBUS_SESSION_BUS_ADDRESS="+address, "XDG_CONFIG_HOME="+filepath.Join(a.home, "config"))
	t.Cleanup(func() {
		a.stop()
		a.checkNothingLeft()
	})
	// The tray appears after the app, which has to notice.
	m := playTray(t, address)
	m.a = a
	m.has("No containers")
	a.ok("docker", "run", "-d", "--name", "web", "--stop-signal", "KILL", testImage, "sleep", "1000")
	m.has("web, running, up to 512 MB")
	m.has("Quit Skerry (stops 1 container)")

	started := func() string {
		return a.ok("docker", "inspect", "-f", "{{.State.Running}} {{.State.StartedAt}}", "web")
	}
	before := started()
	m.click("web, running, up to 512 MB", "Restart")
	a.eventually("the container is started anew", func() error {
		if now := started(); now == before || !strings.HasPrefix(now, "true") {
			return errors.New(now)
		}
		return nil
	})
	m.click("web, running, up to 512 MB", "Stop")
	m.has("Quit Skerry")
	m.click("web, exited (137)", "Start")
	m.has("web, running, up to 512 MB")

	m.click("Quit Skerry (stops 1 container)")
	select {
	case err := <-a.done:
		a.done <- err
		if err != nil {
			t.Errorf("the app ended: %v\n%s", err, a.log)
		}
	case <-time.After(commandTimeout):
		t.Fatalf("Quit did not end the app:\n%s", a.log)
	}
}

// sessionBus starts a bus of the test's own and returns its address.
func sessionBus(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1",
		"--address=unix:path="+filepath.Join(newHome(t), "bus"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n') // printed once it listens
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// watcher is what items of the tray register with.
type watcher struct{ registered chan trayItem }

type trayItem struct {
	sender dbus.Sender
	path   string
}

func (w watcher) RegisterStatusNotifierItem(sender dbus.Sender, path string) *dbus.Error {
	select {
	case w.registered <- trayItem{sender, path}:
	default: // it registers again
	}
	return nil
}

// trayMenu is the app's menu as a desktop sees it.
type trayMenu struct {
	a    *app
	menu dbus.BusObject
}

func playTray(t *testing.T, address string) *trayMenu {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	w := watcher{make(chan trayItem, 1)}
	if err := conn.Export(w, watcherPath, watcherName); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(watcherName, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	select {
	case item := <-w.registered:
		// An item may register before it has its properties.
		object := conn.Object(string(item.sender), dbus.ObjectPath(item.path))
		menu, err := object.GetProperty("org.kde.StatusNotifierItem.Menu")
		for end := time.Now().Add(commandTimeout); err != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			menu, err = object.GetProperty("org.kde.StatusNotifierItem.Menu")
		}
		if err != nil {
			t.Fatal(err)
		}
		return &trayMenu{menu: conn.Object(string(item.sender), menu.Value().(dbus.ObjectPath))}
	case <-time.After(commandTimeout):
		t.Fatal("the app did not register with the tray")
		return nil
	}
}

// menuLayout is a row in the protocol.
type menuLayout struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

// find looks for the row that labels lead to. A label that ends with an ellipsis
// of three dots stands for all that begin like it.
func (m *trayMenu) find(labels ...string) (at menuLayout, err error) {
	var revision uint32
	for range 2 { // after a change the first answer has one level only
		if err := m.menu.Call(menuInterface+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &at); err != nil {
			return at, err
		}
	}
	for _, label := range labels {
		var seen []string
		found := false
		for _, child := range at.Children {
			var row menuLayout
			if err := child.Store(&row); err != nil {
				return at, err
			}
			name, _ := row.Properties["label"].Value().(string)
			seen = append(seen, name)
			beginning, any := strings.CutSuffix(label, "...")
			if name == label || any && strings.HasPrefix(name, beginning) {
				at, found = row, true
				break
			}
		}
		if !found {
			return at, fmt.Errorf("no row %q among %q", label, seen)
		}
	}
	return at, nil
}

// checked waits until a row's mark is on or off.
func (m *trayMenu) checked(on bool, labels ...string) {
	m.a.tb.Helper()
	m.a.eventually(fmt.Sprintf("%q is %v", labels, on), func() error {
		row, err := m.find(labels...)
		if state, _ := row.Properties["toggle-state"].Value().(int32); err == nil && (state == 1) != on {
			err = fmt.Errorf("its state is %d", state)
		}
		return err
	})
}

// has waits for a row.
func (m *trayMenu) has(labels ...string) {
	m.a.tb.Helper()
	m.a.eventually(fmt.Sprintf("the menu has %q", labels), func() error {
		_, err := m.find(labels...)
		return err
	})
}

// click waits for a row and clicks it.
func (m *trayMenu) click(labels ...string) {
	m.a.tb.Helper()
	var row menuLayout
	m.a.eventually(fmt.Sprintf("the menu has %q", labels), func() (err error) {
		row, err = m.find(labels...)
		return err
	})
	m.event(row.ID, "clicked")
}

// open opens the menu.
func (m *trayMenu) open() { m.event(0, "opened") }

func (m *trayMenu) event(id int32, what string) {
	m.a.tb.Helper()
	err := m.menu.Call(menuInterface+".Event", 0, id, what, dbus.MakeVariant(int32(0)), uint32(0)).Err
	var failure dbus.Error // Quit may close the connection before the answer
	if err != nil && !(errors.As(err, &failure) && failure.Name == "org.freedesktop.DBus.Error.NoReply") {
		m.a.tb.Fatal(err)
	}
}
