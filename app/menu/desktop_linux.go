package menu

import (
	"errors"
	"fmt"
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
