package vz

import (
	"context"
	"fmt"
	"time"

	"github.com/Code-Hex/vz/v3"

	"github.com/skerry-app/skerry/engine/vm"
)

// nbdTimeout is how long the framework waits for the server of a network block
// device before it connects anew, as Apple's own container tool has it.
const nbdTimeout = 5 * time.Second

// attachment is a network block device that is attached to a machine.
type attachment struct {
	*link
	nbd *vz.NetworkBlockDeviceStorageDeviceAttachment
}

// attachNBD makes an attachment. The framework connects when the machine starts.
// A guest's flush is complete when the server says so, which only the full mode
// waits for.
func attachNBD(d vm.Disk) (*attachment, error) {
	nbd, err := vz.NewNetworkBlockDeviceStorageDeviceAttachment(d.URL, nbdTimeout, d.ReadOnly, vz.DiskSynchronizationModeFull)
	if err != nil {
		return nil, err
	}
	return &attachment{&link{serial: d.Serial, url: d.URL}, nbd}, nil
}

// follow reads what the framework tells of a network block device until the
// machine has ended; nobody else may read these channels, which are never
// closed. A machine that cannot have the disk at all is ended.
func (m *machine) follow(a *attachment) {
	log := m.log.With("disk", a.serial, "url", a.url)
	for {
		select {
		case <-a.nbd.Connected():
			if a.connected() {
				log.Info("the server of a network block device is back")
			}
		case err := <-a.nbd.DidEncounterError():
			if err == nil {
				continue // vz hands on what it was told
			}
			err = explain(err)
			log.Warn("a network block device does not work", "error", err)
			if a.failed(err) == nil {
				continue
			}
			if err := m.halt(context.Background()); err != nil {
				log.Error("end a machine that lacks a disk", "error", err)
			}
		case <-m.life.done:
			return
		}
	}
}

// hostNBD says what keeps machines from having network block devices.
func hostNBD() error {
	macOS, err := hostMacOS()
	if err != nil {
		return fmt.Errorf("find out whether network block devices can be attached: %w", err)
	}
	return checkNBDSupport(macOS)
}
