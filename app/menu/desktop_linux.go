package menu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// FindDesktop looks for the bus on which trays are found. Without an address
// the library would start one.
func FindDesktop() error {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		if _, err := os.Stat(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")); err != nil {
			return errors.New("there is no session bus, and so no tray")
		}
	}
	if _, err := dbus.SessionBus(); err != nil {
		return fmt.Errorf("connect to the session bus: %w", err)
	}
	return nil
}

// watcher is what items of the tray register with (StatusNotifierItem
// specification), and item is where the library has ours.
const (
	watcher     = "org.kde.StatusNotifierWatcher"
	watcherPath = "/StatusNotifierWatcher"
	item        = "/StatusNotifierItem"
)

// stayRegistered listens for trays that appear from now on, and returns what
// registers with them until ctx ends. The library does so, too, but misses one
// that appears between its first try and its listening, which at login happens.
func stayRegistered(ctx context.Context, log *slog.Logger) func() {
	bus, err := dbus.SessionBus() // the library's own, and closed by it
	if err != nil {
		return func() {}
	}
	signals := make(chan *dbus.Signal, 10)
	bus.Signal(signals)
	err = bus.AddMatchSignalContext(ctx, dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, watcher))
	if err != nil {
		log.Warn("trays that appear late may not be noticed", "error", err)
	}
	return func() {
		defer bus.RemoveSignal(signals)
		registerWith(ctx, bus, signals, log)
	}
}

func registerWith(ctx context.Context, bus *dbus.Conn, signals <-chan *dbus.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case s, ok := <-signals:
			if !ok {
				return
			}
			if len(s.Body) < 3 || s.Body[0] != watcher || s.Body[2] == "" {
				continue
			}
			call := bus.Object(watcher, watcherPath).CallWithContext(ctx, watcher+".RegisterStatusNotifierItem", 0, item)
			if call.Err != nil && ctx.Err() == nil {
				log.Debug("register with the tray", "error", call.Err)
			}
		}
	}
}
