package seccomp

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// call is one system call that a filter sees.
type call struct {
	audit, number uint32
	args          [6]uint64
}

// decide runs a filter as the kernel does.
func decide(t *testing.T, filter []byte, c call) uint32 {
	t.Helper()
	raw := make([]bpf.RawInstruction, len(filter)/8)
	if _, err := binary.Decode(filter, binary.LittleEndian, raw); err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter is no program")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	// The words of seccomp_data are the machine's, those of the VM big-endian.
	data := binary.BigEndian.AppendUint32(nil, c.number)
	data = binary.BigEndian.AppendUint32(data, c.audit)
	data = append(data, make([]byte, 8)...)
	for _, a := range c.args {
		data = binary.BigEndian.AppendUint32(data, uint32(a))
		data = binary.BigEndian.AppendUint32(data, uint32(a>>32))
	}
	v, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(v)
}

func compile(t *testing.T, text, arch string, capabilities ...string) []byte {
	t.Helper()
	filter, err := Compile(text, arch, func(c string) bool { return slices.Contains(capabilities, c) })
	if err != nil {
		t.Fatal(err)
	}
	return filter
}

func TestDefault(t *testing.T) {
	const amd64, i386, arm64, arm = 0xc000003e, 0x40000003, 0xc00000b7, 0x40000028
	const refused = errno | ePERM
	for _, test := range []struct {
		name, arch, capability string
		audit                  uint32
		args                   []uint64
		want                   uint32
	}{
		{"read", "amd64", "", amd64, nil, allow},
		{"execve", "amd64", "", amd64, nil, allow},
		{"mount", "amd64", "", amd64, nil, refused},
		{"mount", "amd64", "CAP_SYS_ADMIN", amd64, nil, allow},
		{"mount", "arm64", "CAP_SYS_ADMIN", arm64, nil, allow},
		{"keyctl", "amd64", "CAP_SYS_ADMIN", amd64, nil, refused},
		{"unshare", "amd64", "", amd64, nil, refused},
		{"chroot", "amd64", "", amd64, nil, refused},
		{"chroot", "amd64", "CAP_SYS_CHROOT", amd64, nil, allow},
		{"reboot", "arm64", "CAP_SYS_BOOT", arm64, nil, allow},
		{"clone", "amd64", "", amd64, []uint64{17}, allow},
		{"clone", "amd64", "", amd64, []uint64{17 | 0x10000000}, refused}, // CLONE_NEWUSER
		{"clone", "amd64", "CAP_SYS_ADMIN", amd64, []uint64{17 | 0x10000000}, allow},
		{"clone3", "amd64", "", amd64, nil, errno | eNOSYS},
		{"clone3", "amd64", "CAP_SYS_ADMIN", amd64, nil, allow},
		{"socket", "amd64", "", amd64, []uint64{2}, allow},
		{"socket", "amd64", "", amd64, []uint64{40}, refused}, // AF_VSOCK
		{"socket", "amd64", "", amd64, []uint64{1<<32 + 2}, refused},
		{"personality", "amd64", "", amd64, []uint64{0xffffffff}, allow},
		{"personality", "amd64", "", amd64, []uint64{0x40000}, refused}, // ADDR_NO_RANDOMIZE
		{"mmap2", "amd64", "", i386, nil, allow},
		{"init_module", "amd64", "", i386, nil, refused},
		{"openat", "arm64", "", arm64, nil, allow},
		{"set_tls", "arm64", "", arm, nil, allow},
		{"usr26", "arm64", "", arm, nil, errno | eNOSYS},
		{"newer than the profile", "amd64", "", amd64, nil, errno | eNOSYS},
		{"of x32", "amd64", "", amd64, nil, errno | eNOSYS},
		{"read", "amd64", "", 0x1234, nil, killProcess},
		{"read", "amd64", "", arm64, nil, killProcess},
	} {
		of := test.arch
		switch test.audit {
		case i386:
			of = "386"
		case arm:
			of = "arm"
		}
		number, ok := numbers[of][test.name]
		switch test.name {
		case "newer than the profile":
			number = 5000
		case "of x32":
			number = x32Bit | 1
		case "usr26":
			number = 0xf0003
		default:
			if !ok {
				t.Fatalf("%s has no number on %s", test.name, of)
			}
		}
		c := call{audit: test.audit, number: number}
		copy(c.args[:], test.args)
		if got := decide(t, compile(t, Default, test.arch, test.capability), c); got != test.want {
			t.Errorf("%s on %s with %q, %v: %#x, want %#x", test.name, of, test.capability, test.args, got, test.want)
		}
	}
}

// TestDefaultAllows compares every number with what the profile lists.
func TestDefaultAllows(t *testing.T) {
	p, err := parse(Default)
	if err != nil {
		t.Fatal(err)
	}
	for arch, list := range architectures {
		filter := compile(t, Default, arch)
		for _, a := range list {
			want := map[uint32]bool{}
			for _, r := range p.Syscalls {
				if r.Action == "SCMP_ACT_ALLOW" && len(r.Args) == 0 && r.holds(arch, func(string) bool { return false }) {
					for _, name := range r.Names {
						if n, ok := numbers[a.arch][name]; ok {
							want[n] = true
						}
					}
				}
			}
			if len(want) < 250 {
				t.Errorf("%s: the profile allows %d calls only", a.name, len(want))
			}
			conditional := []uint32{numbers[a.arch]["clone"], numbers[a.arch]["socket"], numbers[a.arch]["personality"]}
			for number := range uint32(600) {
				if slices.Contains(conditional, number) {
					continue
				}
				if got := decide(t, filter, call{audit: a.audit, number: number}); (got == allow) != want[number] {
					t.Errorf("%s: call %d: %#x, allowed by the profile: %v", a.name, number, got, want[number])
				}
			}
		}
	}
}

func TestComparisons(t *testing.T) {
	const big = 5<<32 | 7
	values := []uint64{0, 6, 7, 8, big - 1, big, big + 1, 6 << 32, 4<<32 | 9, 1<<64 - 1}
	for op, holds := range map[string]func(a uint64) bool{
		"SCMP_CMP_EQ":        func(a uint64) bool { return a == big },
		"SCMP_CMP_NE":        func(a uint64) bool { return a != big },
		"SCMP_CMP_LT":        func(a uint64) bool { return a < big },
		"SCMP_CMP_LE":        func(a uint64) bool { return a <= big },
		"SCMP_CMP_GT":        func(a uint64) bool { return a > big },
		"SCMP_CMP_GE":        func(a uint64) bool { return a >= big },
		"SCMP_CMP_MASKED_EQ": func(a uint64) bool { return a&big == 6 },
	} {
		filter := compile(t, `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW",
			"args":[{"index":2,"value":21474836487,"valueTwo":6,"op":"`+op+`"},{"index":0,"value":1,"op":"SCMP_CMP_NE"}]}]}`, "amd64")
		for _, v := range values {
			for first := range uint64(3) {
				got := decide(t, filter, call{audit: 0xc000003e, args: [6]uint64{0: first, 2: v}})
				if want := holds(v) && first != 1; (got == allow) != want {
					t.Errorf("%s %#x, %d: %#x, want it allowed: %v", op, v, first, got, want)
				}
			}
		}
	}
}

func TestProfiles(t *testing.T) {
	for text, want := range map[string]string{
		`nonsense`:                        "no JSON",
		`{"defaultAction":"SCMP_ACT_NO"}`: `"SCMP_ACT_NO"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}`:                                                                              "listener",
		`{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"]}`:                                                              "FLAG_LOG",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}]}`:                                       "NOTIFY",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}]}`: "argument 6",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP","args":[{"op":"SCMP_CMP_X"}]}]}`:            "SCMP_CMP_X",
	} {
		if _, err := Compile(text, "amd64", func(string) bool { return false }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Compile(Default, "mips", func(string) bool { return false }); err == nil {
		t.Error("a filter for an unknown architecture")
	}
	// A profile that allows what it does not name stays so for new calls, a rule
	// without conditions stands for those with, and an old profile has no other
	// architecture but the machine's.
	filter := compile(t, `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
		{"name":"mkdir","action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
		{"name":"mkdir","action":"SCMP_ACT_ERRNO","errnoRet":13},{"names":["no_such_call","rmdir"],"action":"SCMP_ACT_KILL"}]}`, "amd64")
	for number, want := range map[uint32]uint32{0: allow, 83: errno | 13, 84: killThread, 5000: allow} {
		if got := decide(t, filter, call{audit: 0xc000003e, number: number, args: [6]uint64{1}}); got != want {
			t.Errorf("call %d: %#x, want %#x", number, got, want)
		}
	}
	if got := decide(t, filter, call{audit: 0x40000003}); got != killProcess {
		t.Errorf("a program of an architecture that the profile does not name: %#x", got)
	}
}
