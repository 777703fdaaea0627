package login

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const unitName = "skerry.service"

func (c config) unitPath() string { return filepath.Join(c.user, "systemd", "user", unitName) }

// wantPath is the link by which systemd knows that a unit is enabled. It is made
// here and not by systemctl, which needs a session.
func (c config) wantPath() string {
	return filepath.Join(c.user, "systemd", "user", "default.target.wants", unitName)
}

// unitOn tells whether the user's systemd starts the app.
func (c config) unitOn() (bool, error) {
	_, err := os.Stat(c.wantPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look at the systemd unit: %w", err)
	}
	return err == nil, nil
}

func (c config) enableUnit(program string) error {
	err := write(c.unitPath(), unit(program))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(c.wantPath()), 0o755)
	}
	if err == nil {
		err = remove(c.wantPath())
	}
	if err == nil {
		err = os.Symlink(c.unitPath(), c.wantPath())
	}
	if err != nil {
		return fmt.Errorf("enable the systemd unit: %w", err)
	}
	return nil
}

func (c config) disableUnit() error {
	if err := errors.Join(remove(c.wantPath()), remove(c.unitPath())); err != nil {
		return fmt.Errorf("disable the systemd unit: %w", err)
	}
	return nil
}

// unit is a service that ends as the app does at the end of a session: only the
// app is told to end, which then stops its machines one and all.
func unit(program string) string {
	return "[Unit]\n" +
		"Description=Skerry: containers, each in its own virtual machine\n" +
		"\n" +
		"[Service]\n" +
		"Type=exec\n" +
		"ExecStart=\"" + program + "\" app --headless\n" +
		"KillMode=mixed\n" +
		"TimeoutStopSec=45\n" +
		"OOMPolicy=continue\n" +
		"Restart=on-failure\n" +
		"RestartSec=5\n" +
		"\n" +
		"[Install]\n" +
		"WantedBy=default.target\n"
}
