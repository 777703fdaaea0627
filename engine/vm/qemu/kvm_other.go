//go:build linux && !amd64 && !arm64

package qemu

import (
	"fmt"
	"runtime"
)

// probeKVM is never asked: no guest has the host's architecture.
func probeKVM() error { return fmt.Errorf("KVM is not used on %s", runtime.GOARCH) }
