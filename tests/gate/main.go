// Command gate reads the output of `go test -json`, prints what matters of it
// and fails when a test failed or was skipped: a test that does not run here
// proves nothing here.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/skerry-app/skerry/tests/scenarios"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string // of a package that did not build
	Elapsed                       float64
}

// maxLine bounds a line of output.
const maxLine = 1 << 20

func main() {
	whole := flag.Bool("whole", false, "these are all tests: fail for a scenario that none of them covers")
	table := flag.Bool("table", false, "print which of the scenarios that Apple's Containerization is tested with pass here")
	flag.Parse()
	bad, err := gate(os.Stdin, os.Stdout, *whole, *table)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(2)
	}
	if bad > 0 {
		os.Exit(1)
	}
}

// gate returns how many tests and packages failed or were skipped, and for the
// whole of the tests how many scenarios have none.
func gate(in io.Reader, out io.Writer, whole, table bool) (bad int, err error) {
	output := map[string][]string{} // of tests and packages that have not passed yet
	passed, packages := 0, 0
	var failed, skipped []string
	var tally scenarios.Tally
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // a word of the go command itself
			continue
		}
		if e.Test != "" && (e.Action == "pass" || e.Action == "fail") {
			tally.Add(e.Package, e.Test, e.Action == "pass")
		}
		key := strings.TrimSuffix(e.Package+e.ImportPath+" "+e.Test, " ")
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
		case "pass":
			delete(output, key)
			if e.Test != "" {
				passed++
				continue
			}
			packages++
			fmt.Fprintf(out, "ok    %6.1fs  %s\n", e.Elapsed, e.Package)
		case "skip":
			if e.Test != "" {
				skipped = append(skipped, key)
				fmt.Fprint(out, strings.Join(output[key], ""))
			}
			delete(output, key)
		case "fail", "build-fail":
			failed = append(failed, key)
			fmt.Fprintf(out, "FAIL  %6.1fs  %s\n%s", e.Elapsed, key, strings.Join(output[key], ""))
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	slices.Sort(failed)
	slices.Sort(skipped)
	fmt.Fprintf(out, "\n%d tests passed in %d packages, %d failed, %d skipped\n", passed, packages, len(failed), len(skipped))
	for _, f := range failed {
		fmt.Fprintln(out, "  failed ", f)
	}
	for _, s := range skipped {
		fmt.Fprintln(out, "  skipped", s)
	}
	bad = len(failed) + len(skipped)
	if table {
		_, fail, _ := tally.Print(out)
		bad += fail
	}
	if whole {
		for _, problem := range tally.Missing() {
			fmt.Fprintln(out, "  ", problem)
			bad++
		}
	}
	return bad, nil
}
