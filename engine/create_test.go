package engine

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestMergeEnv(t *testing.T) {
	for _, tc := range []struct {
		name             string
		base, over, want []string
	}{
		{"set", []string{"A=1"}, []string{"B=2"}, []string{"A=1", "B=2"}},
		{"replace in place", []string{"A=1", "B=2"}, []string{"A=3"}, []string{"A=3", "B=2"}},
		{"remove", []string{"A=1", "B=2"}, []string{"A"}, []string{"B=2"}},
		{"remove what is not there", []string{"A=1"}, []string{"B"}, []string{"A=1"}},
		{"set again after removal", []string{"A=1"}, []string{"A", "A=2"}, []string{"A=2"}},
		{"empty value stays", nil, []string{"A="}, []string{"A="}},
		{"value with equals sign", nil, []string{"A=b=c"}, []string{"A=b=c"}},
		{"the last of several counts", []string{"A=1"}, []string{"A=2", "A=3"}, []string{"A=3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, mergeEnv(tc.base, tc.over)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestProcess(t *testing.T) {
	image := ocispec.ImageConfig{Entrypoint: []string{"/entry"}, Cmd: []string{"image", "args"}, WorkingDir: "/image", User: "image", StopSignal: "SIGQUIT"}
	for _, tc := range []struct {
		name  string
		spec  Spec
		image ocispec.ImageConfig
		want  process
	}{
		{"the image's", Spec{}, image, process{Args: []string{"/entry", "image", "args"}, WorkingDir: "/image", User: "image", StopSignal: 3}},
		{"another command", Spec{Command: []string{"x"}}, image, process{Args: []string{"/entry", "x"}, WorkingDir: "/image", User: "image", StopSignal: 3}},
		{"another entrypoint clears the command", Spec{Entrypoint: []string{"y"}}, image, process{Args: []string{"y"}, WorkingDir: "/image", User: "image", StopSignal: 3}},
		{"no entrypoint", Spec{Entrypoint: []string{}, Command: []string{"z"}}, image, process{Args: []string{"z"}, WorkingDir: "/image", User: "image", StopSignal: 3}},
		{"all else", Spec{WorkingDir: "/w", User: "u", StopSignal: "INT"}, image, process{Args: []string{"/entry", "image", "args"}, WorkingDir: "/w", User: "u", StopSignal: 2}},
		{"defaults", Spec{Command: []string{"x"}}, ocispec.ImageConfig{}, process{Args: []string{"x"}, StopSignal: sigTERM}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.spec.process(tc.image)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestProcessRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spec  Spec
		image ocispec.ImageConfig
		says  string
	}{
		{"no command", Spec{}, ocispec.ImageConfig{}, "no command"},
		{"empty command", Spec{Command: []string{""}}, ocispec.ImageConfig{}, "no command"},
		{"relative directory", Spec{Command: []string{"x"}, WorkingDir: "w"}, ocispec.ImageConfig{}, "not an absolute path"},
		{"the image's odd signal", Spec{Command: []string{"x"}}, ocispec.ImageConfig{StopSignal: "SIGWHAT"}, "SIGWHAT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := tc.spec.process(tc.image); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q in it", err, tc.says)
			}
		})
	}
}

func TestSpecCheck(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec Spec
		says string // empty: it is fine
	}{
		{"image alone", Spec{Image: "x"}, ""},
		{"no image", Spec{}, "no image"},
		{"odd name", Spec{Image: "x", Name: "a/b"}, "container name"},
		{"1 MiB", Spec{Image: "x", Memory: 1 << 20}, "at least 6 MiB"},
		{"more memory than there is", Spec{Image: "x", Memory: math.MaxInt64}, "this host has"},
		{"negative cpus", Spec{Image: "x", CPUs: -1}, "-1 cpus"},
		{"no number of cpus", Spec{Image: "x", CPUs: math.NaN()}, "cpus"},
		{"too many cpus", Spec{Image: "x", CPUs: 1e6}, "this host has"},
		{"hardly a cpu", Spec{Image: "x", CPUs: 0.001}, "at least 0.01"},
		{"port 0", Spec{Image: "x", Ports: []Port{{Protocol: "tcp"}}}, "port 0"},
		{"udp", Spec{Image: "x", Ports: []Port{{Container: 53, Protocol: "udp"}}}, "udp ports is not implemented"},
		{"odd signal", Spec{Image: "x", StopSignal: "WHAT"}, "WHAT"},
		{"host name with a space", Spec{Image: "x", Hostname: "a b"}, "hostname"},
		{"extra host without address", Spec{Image: "x", ExtraHosts: []string{"a"}}, "name:address"},
		{"extra hosts", Spec{Image: "x", ExtraHosts: []string{"a:10.0.0.1", "b=[::1]", "c:host-gateway"}}, ""},
		{"variable without a name", Spec{Image: "x", Env: []string{"=x"}}, "NAME=value"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.spec.check()
			if tc.says == "" && err != nil || tc.says != "" && (err == nil || !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, want %q in it", err, tc.says)
			}
		})
	}
}

func TestParseSignal(t *testing.T) {
	for s, want := range map[string]int{"TERM": 15, "SIGTERM": 15, "sigterm": 15, "9": 9, "USR1": 10, "RTMIN": 34, "RTMIN+3": 37, "SIGRTMAX-2": 62, "64": 64} {
		if got, err := parseSignal(s); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "0", "65", "-1", "WHAT", "RTMIN+99", "RTMAX--1", "SIG"} {
		if got, err := parseSignal(s); err == nil {
			t.Errorf("%q is %d, want an error", s, got)
		}
	}
}

func TestMadeUpNamesAreFree(t *testing.T) {
	taken := map[string]bool{}
	for range 3 * len(adjectives) * len(islands) { // more than there are without a number
		name := madeUpName(func(n string) bool { return !taken[n] })
		if taken[name] || checkName(name) != nil {
			t.Fatalf("%q is taken or no name", name)
		}
		taken[name] = true
	}
}
