// Package power tells when the computer goes to sleep and wakes, for the sake of
// machines: their clocks stand still meanwhile, and on a Mac they are better
// paused.
package power

import (
	"context"
	"log/slog"
)

// Handler says what to do when the computer sleeps and wakes. Its functions are
// called one after the other.
type Handler struct {
	// Sleep is called before the computer sleeps, which waits for its return, but
	// no longer than 30 seconds. It is called on a Mac only.
	Sleep func()
	// Wake is called when it has woken, which may be more often than Sleep.
	Wake func()
}

// Watch calls a handler until ctx ends. It is to be called once. Where sleep
// cannot be noticed it says so in the log and returns at once.
func Watch(ctx context.Context, h Handler, log *slog.Logger) { watch(ctx, h, log) }

// Messages of IOKit's root power domain (IOMessage.h: iokit_common_msg).
const (
	messageCanSleep    = 0xe0000270 // may it sleep, having been idle?
	messageWillSleep   = 0xe0000280 // it sleeps once all have answered
	messageHasWoken    = 0xe0000300 // with all devices (kIOMessageSystemHasPoweredOn)
	messageWillPowerOn = 0xe0000320 // on the way to that
)

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
