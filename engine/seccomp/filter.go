package seccomp

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/net/bpf"
)

// What a filter answers (linux/seccomp.h).
const (
	killProcess = 0x80000000
	killThread  = 0x00000000
	trap        = 0x00030000
	errno       = 0x00050000
	trace       = 0x7ff00000
	logIt       = 0x7ffc0000
	allow       = 0x7fff0000
)

const (
	ePERM  = 1
	eNOSYS = 38

	// maxInstructions is the kernel's BPF_MAXINSNS.
	maxInstructions = 4096
	// privateNumbers are those of calls that stand apart on ARM.
	privateNumbers = 0xf0000
	// x32Bit marks calls of x32.
	x32Bit = 0x40000000
)

// Places in struct seccomp_data, whose words are those of a little-endian
// machine.
const (
	dataNumber, dataArch, dataArgs = 0, 4, 16
)

// Compile makes the filter, an array of struct sock_filter, that a profile
// asks for a container with these capabilities on a machine of that
// architecture.
func Compile(text, arch string, has func(capability string) bool) ([]byte, error) {
	p, err := parse(text)
	if err != nil {
		return nil, err
	}
	program, err := p.program(arch, has)
	if err != nil {
		return nil, err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxInstructions {
		return nil, fmt.Errorf("it becomes %d instructions, and the kernel takes %d", len(raw), maxInstructions)
	}
	return binary.Append(nil, binary.LittleEndian, raw)
}

// program has one tree of decisions for each architecture.
func (p *profile) program(arch string, has func(string) bool) ([]bpf.Instruction, error) {
	list := p.architectures(arch)
	if len(list) == 0 {
		return nil, fmt.Errorf("seccomp is not supported on %s", arch)
	}
	code := []bpf.Instruction{bpf.LoadAbsolute{Off: dataArch, Size: 4}}
	for _, a := range list {
		leaves, err := p.leaves(a.arch, arch, has)
		if err != nil {
			return nil, err
		}
		tree := append([]bpf.Instruction{bpf.LoadAbsolute{Off: dataNumber, Size: 4}}, grow(leaves)...)
		code = append(code, bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.audit, SkipTrue: 1}, bpf.Jump{Skip: uint32(len(tree))})
		code = append(code, tree...)
	}
	return append(code, bpf.RetConstant{Val: killProcess}), nil
}

// leaf is what happens to the system calls from one number to the next leaf's.
type leaf struct {
	first uint32
	code  []bpf.Instruction
}

// grow makes a search tree, in which the accumulator holds the call's number.
func grow(leaves []leaf) []bpf.Instruction {
	if len(leaves) == 1 {
		return leaves[0].code
	}
	half := len(leaves) / 2
	low, high := grow(leaves[:half]), grow(leaves[half:])
	var code []bpf.Instruction
	if jump := (bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: leaves[half].first}); len(low) < 256 {
		jump.SkipTrue = uint8(len(low))
		code = append(code, jump)
	} else {
		jump.SkipFalse = 1
		code = append(code, jump, bpf.Jump{Skip: uint32(len(low))})
	}
	return append(append(code, low...), high...)
}

// leaves covers all numbers of an architecture's calls. Those above all that
// the profile knows are answered as a kernel would that does not have them, so
// that programs fall back on older ones, as runc does.
func (p *profile) leaves(arch, machine string, has func(string) bool) ([]leaf, error) {
	fallback, err := verdict(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	calls, err := p.calls(arch, machine, fallback, has)
	if err != nil {
		return nil, err
	}
	unknown := uint32(errno | eNOSYS)
	switch fallback &^ 0xffff {
	case allow, logIt, trace:
		unknown = fallback
	}
	var leaves []leaf
	add := func(first uint32, code []bpf.Instruction) {
		if n := len(leaves); n > 0 && len(code) == 1 && slices.Equal(code, leaves[n-1].code) {
			return
		}
		leaves = append(leaves, leaf{first, code})
	}
	next, between := uint32(0), fallback
	for _, number := range slices.Sorted(maps.Keys(calls)) {
		if number >= privateNumbers && between == fallback {
			add(next, ret(unknown))
			next, between = number, unknown
		}
		if number > next {
			add(next, ret(between))
		}
		add(number, calls[number])
		next = number + 1
	}
	add(next, ret(unknown))
	if arch == "amd64" {
		add(x32Bit, ret(errno|eNOSYS))
	}
	return leaves, nil
}

func ret(v uint32) []bpf.Instruction { return []bpf.Instruction{bpf.RetConstant{Val: v}} }

// calls is what happens to each call that the profile names. A rule without
// conditions stands for all others of the same call, as with libseccomp; of
// those with conditions the first that holds counts.
func (p *profile) calls(arch, machine string, fallback uint32, has func(string) bool) (map[uint32][]bpf.Instruction, error) {
	always, sometimes := map[uint32][]bpf.Instruction{}, map[uint32][]bpf.Instruction{}
	for _, r := range p.Syscalls {
		if !r.holds(machine, has) {
			continue
		}
		action, err := verdict(r.Action, r.ErrnoRet)
		if err != nil {
			return nil, err
		}
		alternatives, err := r.alternatives(action)
		if err != nil {
			return nil, err
		}
		for _, name := range append(r.Names, r.Name) {
			number, ok := numbers[arch][name]
			if !ok { // another architecture's, or none that the kernel has
				continue
			}
			if len(r.Args) > 0 {
				sometimes[number] = append(sometimes[number], alternatives...)
			} else if always[number] == nil {
				always[number] = ret(action)
			}
		}
	}
	for number, code := range sometimes {
		if always[number] == nil {
			always[number] = append(code, ret(fallback)...)
		}
	}
	return always, nil
}

// verdict is the answer that an action stands for.
func verdict(action string, number *uint32) (uint32, error) {
	n := uint32(ePERM)
	if number != nil {
		n = *number & 0xffff
	}
	switch action {
	case "SCMP_ACT_ALLOW":
		return allow, nil
	case "SCMP_ACT_ERRNO":
		return errno | n, nil
	case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD":
		return killThread, nil
	case "SCMP_ACT_KILL_PROCESS":
		return killProcess, nil
	case "SCMP_ACT_TRAP":
		return trap, nil
	case "SCMP_ACT_TRACE":
		return trace | n, nil
	case "SCMP_ACT_LOG":
		return logIt, nil
	default:
		return 0, fmt.Errorf("the action %q is not supported", action)
	}
}
