package scenarios

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestNumbers(t *testing.T) {
	for name, want := range map[string][]int{"TestX/docker/limits_64_65": {64, 65}, "TestX": nil, "TestY/8": nil, "copy a file 29": {29}, "TestX/sha256": nil} {
		if got := Of(name); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	all := All()
	for n, words := range map[int]string{1: "succeeds", 80: "CPUs and memory", 81: "directory of the host", 89: "one container", 128: "one file",
		129: "stop twice", 154: "tmpfs", 155: "MTU", 165: "IPv6 address", 167: "directory plugged"} {
		if !strings.Contains(all[n-1].Name, words) {
			t.Errorf("scenario %d is %q", n, all[n-1].Name)
		}
	}
}

func TestTally(t *testing.T) {
	var tally Tally
	for _, s := range All() {
		if s.Absent == "" && s.Number != 5 {
			tally.Add("x/skerry/tests", "TestX/a_"+strconv.Itoa(s.Number), true)
		}
	}
	tally.Add("x/skerry/other", "TestX/a_5", true)
	if got := tally.Missing(); len(got) != 1 || !strings.Contains(got[0], "scenario 5 ") {
		t.Errorf("%q", got)
	}
	tally.Add("x/skerry/tests", "TestX/a_5_200_17", false)
	if got := tally.Missing(); len(got) != 2 {
		t.Errorf("%q", got)
	}
	var table strings.Builder
	if pass, fail, absent := tally.Print(&table); fail != 1 || pass+fail+absent != 167 || !strings.Contains(table.String(), "FAIL") {
		t.Errorf("%d %d %d\n%s", pass, fail, absent, &table)
	}
}
