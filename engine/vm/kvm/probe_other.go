//go:build linux && !amd64 && !arm64

package kvm

import (
	"fmt"
	"runtime"
)

// Probe is never asked: no guest has the host's architecture.
func Probe() error { return fmt.Errorf("KVM is not used on %s", runtime.GOARCH) }
