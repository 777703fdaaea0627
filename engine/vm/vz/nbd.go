package vz

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/skerry-app/skerry/engine/vm"
)

// nbdMinMacOS is the first that has VZNetworkBlockDeviceStorageDeviceAttachment.
const nbdMinMacOS = 14

// checkNBDSupport says what keeps machines from having network block devices,
// and what to do about it; nil if nothing.
func checkNBDSupport(macOS int) error {
	if macOS < nbdMinMacOS {
		return fmt.Errorf("macOS %d cannot attach network block devices: update to macOS %d or newer, or use a volume on this Mac", macOS, nbdMinMacOS)
	}
	return nil
}

// checkNBD checks a network block device.
func (h host) checkNBD(d *vm.Disk) error {
	if h.nbd != nil {
		return h.nbd
	}
	n, err := d.Address()
	if err != nil {
		return err
	}
	d.URL = n.String()
	return nil
}

// link is a machine's connection to the server of a network block device, as the
// framework tells of it.
type link struct {
	serial, url string

	mu   sync.Mutex
	made bool  // once at least
	err  error // of a first connection that failed
}

// connected notes that the server is there, for the first time or again.
func (l *link) connected() (again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	again, l.made, l.err = l.made, true, nil
	return again
}

// failed notes an error, which may be nil: vz hands on what it was told. It is
// fatal before there has been a connection: the machine would boot without a
// disk that it was given. Later ones reach the guest as errors of its requests,
// until the server is back.
func (l *link) failed(err error) (fatal error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || l.made {
		return nil
	}
	l.err = fmt.Errorf("disk %q: %s: %w", l.serial, l.url, err)
	return l.err
}

// unmade is why one of the first connections has failed; nil if none has.
func unmade(links []*link) error {
	for _, l := range links {
		l.mu.Lock()
		err := l.err
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// blame adds to a failure that is about a network block device the name of the
// disk; of all that the machine has, if the framework has not said which.
func blame(err error, links []*link) error {
	var why failure
	if !errors.As(err, &why) || !why.network() {
		return err
	}
	if known := unmade(links); known != nil {
		return known
	}
	var names []string
	for _, l := range links {
		names = append(names, fmt.Sprintf("disk %q (%s)", l.serial, l.url))
	}
	return fmt.Errorf("%s: %w", strings.Join(names, " or "), err)
}
