//go:build linux

package launch

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

// setLimits has a process take its limits on.
func setLimits(list *calls, limits []*api.Rlimit) {
	for _, l := range limits {
		limit := &unix.Rlimit{Cur: l.Soft, Max: l.Hard}
		list.keep = append(list.keep, limit)
		list.add(fmt.Sprintf("set resource limit %d to %d:%d", l.Resource, int64(l.Soft), int64(l.Hard)),
			unix.SYS_PRLIMIT64, 0, uintptr(l.Resource), uintptr(unsafe.Pointer(limit)), 0)
	}
}

// score is vminitd's own /proc/self/oom_score_adj, which a process inherits;
// processes are forked one at a time (process.Reaper). vminitd may have any: the
// kernel never kills the machine's init.
type score struct{ f *os.File }

// openScore opens it while /proc is the machine's; nil when the process is to
// have the usual score.
func openScore(p *api.Process) (*score, error) {
	if p.OomScoreAdj == 0 {
		return nil, nil
	}
	f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("set the OOM score: %w", err)
	}
	return &score{f}, nil
}

// set changes the score that processes forked from now on have.
func (s *score) set(v int32) error {
	if s == nil {
		return nil
	}
	if _, err := s.f.WriteAt([]byte(strconv.Itoa(int(v))), 0); err != nil {
		return fmt.Errorf("set the OOM score to %d: %w", v, err)
	}
	return nil
}

func (s *score) close() {
	if s != nil {
		s.f.Close()
	}
}
