// Package login starts the app when its user logs in, and tells whether it
// will: by the system's list of login items on macOS, by an XDG autostart entry
// or a systemd user unit on Linux.
//
// Nothing is remembered here. The system's own record is read each time,
// because the user may change it elsewhere, and nothing but Enable turns the
// item on.
package login

// State says whether the app starts at login.
type State string

const (
	Off State = "off"
	On  State = "on"
	// NeedsApproval is a macOS login item that the user has not allowed yet, or
	// has forbidden, in System Settings.
	NeedsApproval State = "needs approval"
)

// Options says what is to be started, and how.
type Options struct {
	// Program is the absolute path of skerry. macOS starts the application that
	// the calling process belongs to and does not look at it.
	Program string
	// Headless starts the app without a tray and without a graphical session,
	// which systemd does on Linux and nothing does on macOS.
	Headless bool
}
