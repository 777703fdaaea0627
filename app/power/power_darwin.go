package power

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"
)

// event is a message with the number under which it is answered.
type event struct {
	message uint32
	id      uintptr
}

// watch also keeps the Mac from slowing the program down for as long as it runs.
func watch(ctx context.Context, h Handler, log *slog.Logger) {
	if err := stayActive("containers run"); err != nil {
		log.Warn("macOS may slow down the app", "error", err)
	}
	if err := follow(ctx, h); err != nil {
		log.Warn("machines are not paused while this Mac sleeps", "error", err)
	}
}

// follow is watch for sleep. IOKit, other than AppKit's notifications, needs no
// main loop, and so no menu, and can be kept waiting for an answer.
func follow(ctx context.Context, h Handler) error {
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
	var connection uint32
	events := make(chan event)
	callback := purego.NewCallback(func(_ uintptr, _, message uint32, argument uintptr) {
		select {
		case events <- event{message, argument}:
		case <-ctx.Done():
			allow(connection, argument) // nobody is left whom sleep would disturb
		}
	})
	var port uintptr
	var notifier uint32
	if connection = register(0, &port, callback, &notifier); connection == 0 || port == 0 {
		return errors.New("IOKit does not tell of sleep (IORegisterForSystemPower)")
	}
	setQueue(port, createQueue("dev.skerry.power", 0))
	for {
		select {
		case e := <-events:
			if h.take(e.message) {
				allow(connection, e.id)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// activity is NSActivityUserInitiatedAllowingIdleSystemSleep
// (NSProcessInfo.h).
const activity uint64 = 0x00ffffff &^ (1 << 20)

// stayActive keeps timers, network and disk of this program from being slowed
// down (App Nap), for as long as it runs. The Mac may sleep all the same.
func stayActive(reason string) error {
	if _, err := purego.Dlopen("/System/Library/Frameworks/Foundation.framework/Foundation", purego.RTLD_LAZY|purego.RTLD_GLOBAL); err != nil {
		return fmt.Errorf("load Foundation.framework: %w", err)
	}
	text := objc.ID(objc.GetClass("NSString")).Send(objc.RegisterName("stringWithUTF8String:"), reason)
	process := objc.ID(objc.GetClass("NSProcessInfo")).Send(objc.RegisterName("processInfo"))
	token := process.Send(objc.RegisterName("beginActivityWithOptions:reason:"), activity, text)
	token.Send(objc.RegisterName("retain")) // it ends with its token
	return nil
}
