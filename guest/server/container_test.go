//go:build linux

package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-app/skerry/guest/api"
)

func TestSortedMounts(t *testing.T) {
	var mounts []*api.Mount
	for _, target := range []string{"/a/b/c", "a/", "/z/y", "/", "/a//b/../b", "/x/."} {
		mounts = append(mounts, &api.Mount{Target: target})
	}
	var got []string
	for _, m := range sortedMounts(mounts) {
		got = append(got, m.Target)
	}
	if s := strings.Join(got, " "); s != "/ a/ /x/. /z/y /a//b/../b /a/b/c" {
		t.Errorf("order: %s", s)
	}
}

func TestDescribe(t *testing.T) {
	list := func(pid int) *api.ProcessInfo {
		info, err := describe(pid, bootTime(t))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	info := list(os.Getpid())
	if info.RssBytes == 0 || !strings.Contains(info.Command, ".test") {
		t.Errorf("this process: %v", info)
	}
	if _, err := describe(1<<22+1, bootTime(t)); err == nil { // above PID_MAX_LIMIT
		t.Error("a process that cannot be was described")
	}
}

func bootTime(t *testing.T) time.Time {
	t.Helper()
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(-time.Duration(since.Nano()))
}
