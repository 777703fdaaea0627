package scenarios

import (
	"fmt"
	"io"
	"strings"
)

// Result is what became of a scenario's tests.
type Result string

// Results, in the order in which one takes the place of another.
const (
	NotTested Result = "no test"
	Pass      Result = "pass"
	Fail      Result = "FAIL"
)

// packages are those whose tests carry numbers.
var packages = []string{"/skerry/tests", "/skerry/engine/agent"}

// Tally collects the results of tests.
type Tally struct {
	results [len(names) + 1]Result
	unknown []string
}

// Add takes the result of one test, which may have failed.
func (t *Tally) Add(pkg, test string, passed bool) {
	here := false
	for _, suffix := range packages {
		here = here || strings.HasSuffix(pkg, suffix)
	}
	if !here {
		return
	}
	for _, n := range Of(test) {
		switch {
		case n < 1 || n > len(names):
			t.unknown = append(t.unknown, test)
		case !passed:
			t.results[n] = Fail
		case t.results[n] != Fail:
			t.results[n] = Pass
		}
	}
}

// Missing tells what is wrong with the numbers: scenarios that neither a test
// nor a reason accounts for, those that have both, and numbers that are none.
func (t *Tally) Missing() (problems []string) {
	for _, s := range All() {
		switch tested := t.results[s.Number] != ""; {
		case tested && s.Absent != "":
			problems = append(problems, fmt.Sprintf("scenario %d (%s) has a test and a reason to have none", s.Number, s.Name))
		case !tested && s.Absent == "":
			problems = append(problems, fmt.Sprintf("scenario %d (%s) has neither a test nor a reason", s.Number, s.Name))
		}
	}
	for _, test := range t.unknown {
		problems = append(problems, fmt.Sprintf("test %s carries the number of no scenario", test))
	}
	return problems
}

// Print writes the table and returns how many scenarios passed, failed and are
// not tested here.
func (t *Tally) Print(w io.Writer) (pass, fail, absent int) {
	for _, s := range All() {
		result := string(t.results[s.Number])
		switch {
		case t.results[s.Number] == Pass:
			pass++
		case s.Absent != "":
			absent++
			result = "not here: " + s.Absent
		default:
			fail++
			if result == "" {
				result = string(NotTested)
			}
		}
		fmt.Fprintf(w, "%4d  %-48s %s\n", s.Number, s.Name, result)
	}
	fmt.Fprintf(w, "\n%d pass, %d fail, %d not here\n", pass, fail, absent)
	return pass, fail, absent
}
