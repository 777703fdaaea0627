//go:build linux

package process

import (
	"os"
	"strconv"
	"strings"
)

// InnerPid returns a process's number as the container sees it, 0 for one that
// is not in the container.
func InnerPid(pid int) int32 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok { // outer to inner
			f := strings.Fields(numbers)
			if len(f) < 2 {
				return 0
			}
			n, _ := strconv.Atoi(f[len(f)-1])
			return int32(n)
		}
	}
	return 0
}
