package power

import (
	"errors"
	"fmt"

	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"
)

// event is a message with the number under which it is answered.
type event struct {
	message uint32
	id      uintptr
}

// Watch calls a handler for as long as the program runs. It is to be called
// once. IOKit, other than AppKit's notifications, needs no main loop, and so no
// menu, and can be kept waiting for an answer.
func Watch(h Handler) error {
	system, err := purego.Dlopen("/usr/lib/libSystem.B.dylib", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load libSystem: %w", err)
	}
	iokit, err := purego.Dlopen("/System/Library/Frameworks/IOKit.framework/IOKit", purego.RTLD_LAZY|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("load IOKit.framework: %w", err)
	}
	var (
		// dispatch/queue.h, IOKit/IOKitLib.h, IOKit/pwr_mgt/IOPMLib.h
		createQueue func(label string, attributes uintptr) uintptr
		setQueue    func(port, queue uintptr)
		register    func(context uintptr, port *uintptr, callback uintptr, notifier *uint32) uint32
		allow       func(connection uint32, id uintptr) int32
	)
	purego.RegisterLibFunc(&createQueue, system, "dispatch_queue_create")
	purego.RegisterLibFunc(&setQueue, iokit, "IONotificationPortSetDispatchQueue")
	purego.RegisterLibFunc(&register, iokit, "IORegisterForSystemPower")
	purego.RegisterLibFunc(&allow, iokit, "IOAllowPowerChange")

	// The callback runs on the system's thread, where nothing of ours is to be
	// done.
	events := make(chan event)
	callback := purego.NewCallback(func(_ uintptr, _, message uint32, argument uintptr) { events <- event{message, argument} })
	var port uintptr
	var notifier uint32
	connection := register(0, &port, callback, &notifier)
	if connection == 0 || port == 0 {
		return errors.New("IOKit does not tell of sleep (IORegisterForSystemPower)")
	}
	go func() {
		for e := range events {
			if h.take(e.message) {
				allow(connection, e.id)
			}
		}
	}()
	setQueue(port, createQueue("dev.skerry.power", 0))
	return nil
}

// activity is NSActivityUserInitiatedAllowingIdleSystemSleep
// (NSProcessInfo.h).
const activity uint64 = 0x00ffffff &^ (1 << 20)

// StayActive keeps timers, network and disk of this program from being slowed
// down (App Nap), for as long as it runs. The Mac may sleep all the same.
func StayActive(reason string) error {
	if _, err := purego.Dlopen("/System/Library/Frameworks/Foundation.framework/Foundation", purego.RTLD_LAZY|purego.RTLD_GLOBAL); err != nil {
		return fmt.Errorf("load Foundation.framework: %w", err)
	}
	text := objc.ID(objc.GetClass("NSString")).Send(objc.RegisterName("stringWithUTF8String:"), reason)
	process := objc.ID(objc.GetClass("NSProcessInfo")).Send(objc.RegisterName("processInfo"))
	token := process.Send(objc.RegisterName("beginActivityWithOptions:reason:"), activity, text)
	token.Send(objc.RegisterName("retain")) // it ends with its token
	return nil
}
