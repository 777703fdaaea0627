// Package power tells when a Mac goes to sleep and wakes, and keeps macOS from
// slowing down a program without windows. On other systems it does nothing:
// machines there get along with a host that sleeps.
package power

// Messages of IOKit's root power domain (IOMessage.h: iokit_common_msg).
const (
	messageCanSleep    = 0xe0000270 // may it sleep, having been idle?
	messageWillSleep   = 0xe0000280 // it sleeps as soon as all have answered
	messageHasWoken    = 0xe0000300 // with all devices (kIOMessageSystemHasPoweredOn)
	messageWillPowerOn = 0xe0000320 // on the way to that
)

// Handler says what to do when the host sleeps and wakes. Its functions are
// called one after the other.
type Handler struct {
	// Sleep is called before the host sleeps, which waits for its return, but
	// no longer than 30 seconds.
	Sleep func()
	// Wake is called when the host has woken. There may be more of these than of
	// the others.
	Wake func()
}

// take does what a message asks for and tells whether it wants an answer.
func (h Handler) take(message uint32) (answer bool) {
	switch message {
	case messageCanSleep:
		return true
	case messageWillSleep:
		h.Sleep()
		return true
	case messageHasWoken:
		h.Wake()
	}
	return false
}
