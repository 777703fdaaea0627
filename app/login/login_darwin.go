package login

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/ebitengine/purego/objc"
)

// SMAppServiceStatus, as ServiceManagement.framework has it.
const (
	notRegistered = iota
	enabled
	requiresApproval
	notFound // also what an application is that has never been registered
)

// bundleDir is where a program lies that belongs to an application.
const bundleDir = ".app/Contents/MacOS"

var serviceClass = sync.OnceValues(func() (objc.Class, error) {
	const library = "/System/Library/Frameworks/ServiceManagement.framework/ServiceManagement"
	if _, err := purego.Dlopen(library, purego.RTLD_LAZY|purego.RTLD_GLOBAL); err != nil {
		return 0, fmt.Errorf("load ServiceManagement.framework: %w", err)
	}
	class := objc.GetClass("SMAppService")
	if class == 0 {
		return 0, errors.New("starting at login needs macOS 13 or newer")
	}
	return class, nil
})

// Get reads the state.
func Get() (State, error) {
	state := Off
	err := withService(func(class objc.Class) error {
		switch status := objc.Send[int](mainService(class), objc.RegisterName("status")); status {
		case notRegistered, notFound:
		case enabled:
			state = On
		case requiresApproval:
			state = NeedsApproval
		default:
			return fmt.Errorf("the login item has the unknown status %d", status)
		}
		return nil
	})
	return state, err
}

// Enable has the app start at login from now on, or once the user has allowed
// it: Get tells which.
func Enable(o Options) error {
	if o.Headless {
		return errors.New("macOS starts applications at login, with their menus: leave --headless out")
	}
	if err := inBundle(); err != nil {
		return err
	}
	err := change("registerAndReturnError:")
	// The framework also calls it a failure that the user's leave is missing.
	if state, _ := Get(); state == NeedsApproval {
		return nil
	}
	return err
}

// Disable has the app no longer start at login.
func Disable() error {
	if state, err := Get(); err != nil || state == Off {
		return err
	}
	return change("unregisterAndReturnError:")
}

// OpenSettings shows the user where login items are allowed.
func OpenSettings() error {
	return withService(func(class objc.Class) error {
		objc.ID(class).Send(objc.RegisterName("openSystemSettingsLoginItems"))
		return nil
	})
}

func change(selector string) error {
	return withService(func(class objc.Class) error {
		var failure objc.ID
		if objc.Send[bool](mainService(class), objc.RegisterName(selector), unsafe.Pointer(&failure)) {
			return nil
		}
		return fmt.Errorf("change the login item: %w", describe(failure))
	})
}

func mainService(class objc.Class) objc.ID {
	return objc.ID(class).Send(objc.RegisterName("mainAppService"))
}

// withService calls f where Objective-C objects can be made: in an autorelease
// pool, which belongs to a thread.
func withService(f func(objc.Class) error) error {
	class, err := serviceClass()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pool := objc.ID(objc.GetClass("NSAutoreleasePool")).Send(objc.RegisterName("new"))
	defer pool.Send(objc.RegisterName("drain"))
	return f(class)
}

// inBundle tells whether this process is an application's, by the path that it
// was started with: the framework does not see through a link to the program.
func inBundle() error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	if strings.HasSuffix(filepath.Dir(path), bundleDir) {
		return nil
	}
	if target, err := filepath.EvalSymlinks(path); err == nil && strings.HasSuffix(filepath.Dir(target), bundleDir) {
		return fmt.Errorf("macOS takes login items from the application's own program only: run %q app autostart on", target)
	}
	return fmt.Errorf("%s is not in an application, and macOS starts only these at login: install Skerry.app", path)
}

func describe(failure objc.ID) error {
	if failure == 0 {
		return errors.New("macOS does not say why")
	}
	text := failure.Send(objc.RegisterName("localizedDescription"))
	return fmt.Errorf("%s (code %d)", objc.Send[string](text, objc.RegisterName("UTF8String")),
		objc.Send[int](failure, objc.RegisterName("code")))
}
