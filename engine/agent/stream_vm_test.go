//go:build linux

package agent_test

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/skerry-app/skerry/engine/agent"
	"github.com/skerry-app/skerry/engine/agent/internal/probe/pattern"
	"github.com/skerry-app/skerry/guest/api"
)

func (g *guest) testInput(t *testing.T) {
	for name, data := range map[string][]byte{"empty": {}, "text": []byte("one\ntwo\n"), "binary": noise(3 << 20)} {
		r := g.run(t, &api.Process{Args: []string{"cat"}}, bytes.NewReader(data))
		if r.out != string(data) || r.Code != 0 {
			t.Errorf("%s: %d bytes of %d, status %d", name, len(r.out), len(data), r.Code)
		}
	}
	// No input is an empty one.
	if r := g.run(t, &api.Process{Args: []string{"cat"}}, nil); r.out != "" || r.Code != 0 {
		t.Errorf("without stdin: %+v", r)
	}
	// Only the input ends: output goes on after it.
	r := g.run(t, &api.Process{Args: []string{"sh", "-c", "wc -c; sleep 0.3; echo after"}}, bytes.NewReader(make([]byte, 100_000)))
	if r.out != "100000\nafter\n" {
		t.Errorf("output after the end of the input: %q", r.out)
	}
	// A process that does not read ends all the same, and the host's writer
	// with it.
	p := g.start(t, &api.Process{Args: []string{"true"}}, agent.Stdio{Stdin: true})
	if _, err := pattern2(p.Stdin); err == nil {
		t.Error("a process that has ended took 8 MiB")
	}
	if e, err := p.Wait(deadline(t)); err != nil || e.Code != 0 {
		t.Errorf("a process that does not read: %+v %v", e, err)
	}
}

// pattern2 writes more than all buffers on the way hold.
func pattern2(w io.Writer) (int, error) { return w.Write(make([]byte, 8<<20)) }

// testOutput moves much over stdout and stderr at once.
func (g *guest) testOutput(t *testing.T) {
	const size, argument = 250 << 20, "262144000"
	p := g.start(t, &api.Process{Args: []string{"probe", "pattern", argument}}, agent.Stdio{Stdout: true, Stderr: true})
	var wg sync.WaitGroup
	for seed, from := range map[byte]io.Reader{1: p.Stdout, 2: p.Stderr} {
		wg.Go(func() {
			got, want := sha256.New(), sha256.New()
			n, err := io.Copy(got, from)
			must(t, pattern.Write(want, seed, size))
			if err != nil || n != size || !equal(got, want) {
				t.Errorf("stream %d: %d bytes of %d, the same: %t, %v", seed, n, size, equal(got, want), err)
			}
		})
	}
	wg.Wait()
	if e, err := p.Wait(deadline(t)); err != nil || e.Code != 0 {
		t.Errorf("%+v %v", e, err)
	}
}

// testInheritedStreams wants the exit status although a child holds the
// streams, and what the child writes after it.
func (g *guest) testInheritedStreams(t *testing.T) {
	p := g.start(t, &api.Process{Args: []string{"sh", "-c", "(sleep 1; echo late) & echo early; exit 7"}}, agent.Stdio{Stdout: true})
	e, err := p.Wait(deadline(t))
	if err != nil || e.Code != 7 {
		t.Errorf("%+v %v", e, err)
	}
	if out, err := io.ReadAll(p.Stdout); err != nil || string(out) != "early\nlate\n" {
		t.Errorf("output: %q %v", out, err)
	}
}

// testUnexpectedStream wants connections closed that name no stream which the
// host waits for.
func (g *guest) testUnexpectedStream(t *testing.T) {
	for _, number := range []string{"0", "1", "18446744073709551615"} {
		g.want(t, "probe stream "+number, "closed")
	}
}

// testVsock wants the agent to be the host's alone: neither the machine's own
// number nor that of loopback reaches it.
func (g *guest) testVsock(t *testing.T) {
	for _, cid := range []string{"1", "3", "4294967295"} { // VMADDR_CID_LOCAL, the guest's, VMADDR_CID_ANY
		for _, port := range []string{"1024", "1026"} {
			if r := g.shell(t, "probe vsock "+cid+" "+port); r.out != "closed\n" && r.out != "refused\n" {
				t.Errorf("CID %s, port %s: %q %q", cid, port, r.out, r.err)
			}
		}
	}
	// The host took the one call that it waited for and no more.
	if r := g.shell(t, "probe vsock 2 1024"); r.out != "closed\n" && r.out != "refused\n" {
		t.Errorf("another call: %q %q", r.out, r.err)
	}
}

func equal(a, b hash.Hash) bool { return bytes.Equal(a.Sum(nil), b.Sum(nil)) }

func noise(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{9}).Read(b)
	return b
}
