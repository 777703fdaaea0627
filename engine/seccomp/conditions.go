package seccomp

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// Where a comparison leads to, until the real distance is known.
const (
	toPass = 254 // the next condition
	toFail = 255 // the next alternative
)

// alternatives is code that answers with the action when the rule's conditions
// hold, and goes on after itself when not. Several conditions for one argument
// are alternatives, as with runc.
func (r *rule) alternatives(action uint32) ([]bpf.Instruction, error) {
	seen := map[uint32]bool{}
	apart := false
	for _, c := range r.Args {
		apart = apart || seen[c.Index]
		seen[c.Index] = true
	}
	if !apart {
		return all(r.Args, action)
	}
	var code []bpf.Instruction
	for _, c := range r.Args {
		one, err := all([]condition{c}, action)
		if err != nil {
			return nil, err
		}
		code = append(code, one...)
	}
	return code, nil
}

// all is code that answers when every condition holds.
func all(conditions []condition, action uint32) ([]bpf.Instruction, error) {
	var code []bpf.Instruction
	for _, c := range conditions {
		one, err := c.compare()
		if err != nil {
			return nil, err
		}
		lead(one, toPass, len(one))
		code = append(code, one...)
	}
	code = append(code, ret(action)...)
	lead(code, toFail, len(code))
	return code, nil
}

// lead has all jumps to a place go to the index end.
func lead(code []bpf.Instruction, to uint8, end int) {
	for i, instruction := range code {
		if jump, ok := instruction.(bpf.JumpIf); ok {
			distance := uint8(end - i - 1)
			if jump.SkipTrue == to {
				jump.SkipTrue = distance
			}
			if jump.SkipFalse == to {
				jump.SkipFalse = distance
			}
			code[i] = jump
		}
	}
}

// compare looks at the argument's two words, the high one first.
func (c condition) compare() ([]bpf.Instruction, error) {
	if c.Index > 5 {
		return nil, fmt.Errorf("system calls have no argument %d", c.Index)
	}
	at := dataArgs + 8*c.Index
	load := func(high uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: at + 4*high, Size: 4} }
	high, low := uint32(c.Value>>32), uint32(c.Value)
	// jump goes on to the next instruction where it leads nowhere.
	jump := func(cond bpf.JumpTest, v uint32, yes, no uint8) bpf.Instruction {
		return bpf.JumpIf{Cond: cond, Val: v, SkipTrue: yes, SkipFalse: no}
	}
	switch c.Op {
	case "SCMP_CMP_EQ":
		return []bpf.Instruction{load(1), jump(bpf.JumpEqual, high, 0, toFail), load(0), jump(bpf.JumpEqual, low, 0, toFail)}, nil
	case "SCMP_CMP_NE":
		return []bpf.Instruction{load(1), jump(bpf.JumpEqual, high, 0, toPass), load(0), jump(bpf.JumpEqual, low, toFail, 0)}, nil
	case "SCMP_CMP_GT", "SCMP_CMP_GE":
		test := bpf.JumpGreaterThan
		if c.Op == "SCMP_CMP_GE" {
			test = bpf.JumpGreaterOrEqual
		}
		return []bpf.Instruction{load(1), jump(bpf.JumpGreaterThan, high, toPass, 0), jump(bpf.JumpEqual, high, 0, toFail),
			load(0), jump(test, low, 0, toFail)}, nil
	case "SCMP_CMP_LT", "SCMP_CMP_LE":
		test := bpf.JumpGreaterOrEqual
		if c.Op == "SCMP_CMP_LE" {
			test = bpf.JumpGreaterThan
		}
		return []bpf.Instruction{load(1), jump(bpf.JumpGreaterThan, high, toFail, 0), jump(bpf.JumpEqual, high, 0, toPass),
			load(0), jump(test, low, toFail, 0)}, nil
	case "SCMP_CMP_MASKED_EQ":
		return []bpf.Instruction{
			load(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: high}, jump(bpf.JumpEqual, uint32(c.ValueTwo>>32), 0, toFail),
			load(0), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: low}, jump(bpf.JumpEqual, uint32(c.ValueTwo), 0, toFail)}, nil
	default:
		return nil, fmt.Errorf("the comparison %q is not supported", c.Op)
	}
}
