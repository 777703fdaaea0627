package main

import (
	"strings"
	"testing"
)

func TestGate(t *testing.T) {
	const pass = `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p"}` + "\n"
	for _, tc := range []struct {
		name, in string
		bad      int
		says     string
	}{
		{"all pass", pass, 0, "1 tests passed in 1 packages, 0 failed, 0 skipped"},
		{"one fails", `{"Action":"output","Package":"p","Test":"TestB","Output":"why\n"}` + "\n" + `{"Action":"fail","Package":"p","Test":"TestB"}` + "\n" + pass, 1, "why\n"},
		{"one is skipped", `{"Action":"output","Package":"p","Test":"TestC","Output":"no root\n"}` + "\n" + `{"Action":"skip","Package":"p","Test":"TestC"}` + "\n" + pass, 1, "no root\n"},
		{"a package without tests", `{"Action":"skip","Package":"q"}` + "\n" + pass, 0, "0 skipped"},
		{"a package does not build", `{"ImportPath":"r","Action":"build-output","Output":"syntax\n"}` + "\n" + `{"ImportPath":"r","Action":"build-fail"}` + "\n", 1, "syntax\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			bad, err := gate(strings.NewReader(tc.in), &out, false, false)
			if err != nil || bad != tc.bad || !strings.Contains(out.String(), tc.says) {
				t.Errorf("%d bad (%v), want %d; output %q, want %q in it", bad, err, tc.bad, out.String(), tc.says)
			}
		})
	}
}
