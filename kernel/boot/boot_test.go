//go:build linux

package boot

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
)

func TestInitramfsIsReadByCpio(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("cpio is absent: install cpio")
	}
	for _, size := range []int{0, 1, 2, 3, 4, 5000} {
		init := bytes.Repeat([]byte("i"), size)
		for arguments, want := range map[string]string{
			"--list --verbose":         "-rwxr-xr-x",
			"--extract --to-stdout":    string(init),
			"--list --only-verify-crc": "init\n",
		} {
			cmd := exec.Command("cpio", append(strings.Fields(arguments), "--quiet")...)
			cmd.Stdin = bytes.NewReader(Initramfs(init))
			var out, complaints bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &complaints
			if err := cmd.Run(); err != nil || complaints.Len() > 0 {
				t.Errorf("init of %d bytes: cpio %s: %v: %s", size, arguments, err, &complaints)
			}
			if !strings.HasPrefix(out.String(), want) {
				t.Errorf("init of %d bytes: cpio %s printed %q, want %q first", size, arguments, &out, want)
			}
		}
	}
}

func TestRunFailsWithReason(t *testing.T) {
	for _, test := range []struct {
		name    string
		machine Machine
		says    string
	}{
		{"architecture", Machine{Arch: "riscv64", Kernel: "k"}, `unknown architecture "riscv64"`},
		{"kernel", Machine{Arch: "x86_64", Kernel: "/nowhere/vmlinux"}, "/nowhere/vmlinux"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
				t.Skip("qemu-system-x86_64 is absent: install qemu-system-x86")
			}
			err := test.machine.Run(context.Background(), func(string) {})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want %q in it", err, test.says)
			}
		})
	}
}
