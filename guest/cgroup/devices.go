//go:build linux

package cgroup

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// usualDevices may be used by every container: any node may be made, as without
// more it cannot be opened, and what is in /dev may be opened.
var usualDevices = []string{
	"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", // null to urandom
	"c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", // terminals
}

// deviceRule is one rule in words, "c 1:3 rwm", as the kernel has its numbers.
type deviceRule struct {
	kind         int32 // 0: any
	access       int32
	major, minor int32 // -1: any
}

// AllDevices is the rule that allows every device.
const AllDevices = "a *:* rwm"

// AllowDevices keeps the container from all devices but the usual ones and
// those of the rules. It takes the place of what was allowed before.
func (g *Group) AllowDevices(rules []string) error {
	var program []instruction
	for _, text := range append(usualDevices[:len(usualDevices):len(usualDevices)], rules...) {
		rule, err := parseRule(text)
		if err != nil {
			return err
		}
		if rule == everything { // the kernel refuses a program with a part that is never reached
			return g.attach(result(1))
		}
		program = append(program, rule.program()...)
	}
	program = append(append(unpack(), program...), result(0)...)
	return g.attach(program)
}

// everything is AllDevices.
var everything = deviceRule{0, allAccess, -1, -1}

const allAccess = unix.BPF_DEVCG_ACC_READ | unix.BPF_DEVCG_ACC_WRITE | unix.BPF_DEVCG_ACC_MKNOD

func parseRule(text string) (deviceRule, error) {
	fail := fmt.Errorf(`device rule %q: use one such as "c 10:200 rwm"`, text)
	f := strings.Fields(text)
	if len(f) != 3 {
		return deviceRule{}, fail
	}
	var r deviceRule
	switch f[0] {
	case "a":
	case "b":
		r.kind = unix.BPF_DEVCG_DEV_BLOCK
	case "c":
		r.kind = unix.BPF_DEVCG_DEV_CHAR
	default:
		return r, fail
	}
	major, minor, _ := strings.Cut(f[1], ":")
	for to, number := range map[*int32]string{&r.major: major, &r.minor: minor} {
		n, err := strconv.ParseInt(number, 10, 32)
		switch {
		case number == "*":
			*to = -1
		case err != nil || n < 0:
			return r, fail
		default:
			*to = int32(n)
		}
	}
	for _, letter := range f[2] {
		switch letter {
		case 'r':
			r.access |= unix.BPF_DEVCG_ACC_READ
		case 'w':
			r.access |= unix.BPF_DEVCG_ACC_WRITE
		case 'm':
			r.access |= unix.BPF_DEVCG_ACC_MKNOD
		default:
			return r, fail
		}
	}
	return r, nil
}

// instruction is struct bpf_insn (Documentation/bpf/standardization).
type instruction struct {
	code, registers uint8 // the destination's register in the low half
	offset          int16
	value           int32
}

// Registers of the program that decides.
const (
	answer, argument, kind, access, major, minor = 0, 1, 2, 3, 4, 5
)

// Instructions that it is made of.
const (
	load       = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	set        = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
	copyWord   = unix.BPF_ALU | unix.BPF_MOV | unix.BPF_X
	and        = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	shiftRight = unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K
	unless     = unix.BPF_JMP32 | unix.BPF_JNE | unix.BPF_K // jump if not equal
	exit       = unix.BPF_JMP | unix.BPF_EXIT
)

// unpack reads struct bpf_cgroup_dev_ctx (linux/bpf.h).
func unpack() []instruction {
	return []instruction{
		{load, argument<<4 | kind, 0, 0}, {copyWord, kind<<4 | access, 0, 0}, {and, kind, 0, 0xffff}, {shiftRight, access, 0, 16},
		{load, argument<<4 | major, 4, 0}, {load, argument<<4 | minor, 8, 0},
	}
}

func result(v int32) []instruction { return []instruction{{set, answer, 0, v}, {exit, 0, 0, 0}} }

// program allows what the rule allows and goes on after itself with all else.
func (r deviceRule) program() []instruction {
	var code []instruction
	if r.kind != 0 {
		code = append(code, instruction{unless, kind, 0, r.kind})
	}
	if r.access != allAccess { // what is wanted beyond it; the argument is not needed any more
		code = append(code, instruction{copyWord, access<<4 | argument, 0, 0}, instruction{and, argument, 0, ^r.access},
			instruction{unless, argument, 0, 0})
	}
	if r.major >= 0 {
		code = append(code, instruction{unless, major, 0, r.major})
	}
	if r.minor >= 0 {
		code = append(code, instruction{unless, minor, 0, r.minor})
	}
	code = append(code, result(1)...)
	for i := range code {
		if code[i].code == unless {
			code[i].offset = int16(len(code) - i - 1)
		}
	}
	return code
}

// attach has a program decide about the container's use of devices.
func (g *Group) attach(program []instruction) error {
	license := []byte("Apache-2.0\x00")
	loading := struct {
		kind, length          uint32
		instructions, license *byte
		logLevel, logSize     uint32
		log                   uint64
		kernel, flags         uint32
	}{unix.BPF_PROG_TYPE_CGROUP_DEVICE, uint32(len(program)), (*byte)(unsafe.Pointer(&program[0])), &license[0], 0, 0, 0, 0, 0}
	loaded, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&loading)), unsafe.Sizeof(loading))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("load the device filter: %w", errno)
	}
	defer unix.Close(int(loaded))
	attaching := struct{ target, program, kind, flags uint32 }{uint32(g.dir.Fd()), uint32(loaded), unix.BPF_CGROUP_DEVICE, 0}
	_, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_ATTACH, uintptr(unsafe.Pointer(&attaching)), unsafe.Sizeof(attaching))
	if errno != 0 {
		return fmt.Errorf("attach the device filter: %w", errno)
	}
	return nil
}
