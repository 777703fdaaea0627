// Command acceptance reads the output of `go test -json` and prints which of the
// scenarios that Apple's Containerization is tested with pass here.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/skerry-app/skerry/tests/scenarios"
)

// maxLine bounds a line of output.
const maxLine = 1 << 20

func main() {
	var tally scenarios.Tally
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e struct{ Action, Package, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(os.Stderr, lines.Text())
			continue
		}
		switch e.Action {
		case "pass", "fail":
			tally.Add(e.Package, e.Test, e.Action == "pass")
			if e.Test != "" {
				fmt.Fprintln(os.Stderr, e.Action, e.Test)
			}
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(2)
	}
	if _, fail, _ := tally.Print(os.Stdout); fail > 0 {
		os.Exit(1)
	}
}
