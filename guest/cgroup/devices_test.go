//go:build linux

package cgroup

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseRule(t *testing.T) {
	const read, write, mknod = unix.BPF_DEVCG_ACC_READ, unix.BPF_DEVCG_ACC_WRITE, unix.BPF_DEVCG_ACC_MKNOD
	for text, want := range map[string]deviceRule{
		"c 1:3 rwm": {unix.BPF_DEVCG_DEV_CHAR, read | write | mknod, 1, 3},
		"b 8:* r":   {unix.BPF_DEVCG_DEV_BLOCK, read, 8, -1},
		"a *:* w":   {0, write, -1, -1},
		AllDevices:  everything,
	} {
		if got, err := parseRule(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "c", "c 1:3", "x 1:3 r", "c 1 r", "c -1:3 r", "c 1:3 rx", "c 1:3 r w", "c 4294967296:1 r"} {
		if got, err := parseRule(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for _, text := range usualDevices {
		if _, err := parseRule(text); err != nil {
			t.Error(err)
		}
	}
}
