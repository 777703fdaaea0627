//go:build linux

package kvm

import (
	"errors"
	"os"
	"strings"
)

// CheckNested says what keeps the guests of this host's KVM from having hardware
// virtualization of their own: a parameter of its module for the processor
// (Linux, Documentation/virt/kvm/x86/nested-vmx.rst).
func CheckNested() error {
	return checkNested("/sys/module/kvm_intel/parameters/nested", "/sys/module/kvm_amd/parameters/nested")
}

func checkNested(parameters ...string) error {
	for _, path := range parameters {
		value, err := os.ReadFile(path)
		if err != nil {
			continue // the other processor's
		}
		switch strings.TrimSpace(string(value)) {
		case "Y", "1":
			return nil
		}
		return errors.New("machines inside a machine: KVM of this host does not allow them: load its module with nested=1")
	}
	return errors.New("machines inside a machine: KVM of this host does not say that it allows them")
}
