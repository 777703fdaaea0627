package tests

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestClockIsKept sets a machine's clock to the past, as the host's sleep does,
// and waits for it to be put right.
func TestClockIsKept(t *testing.T) {
	a := shared(t)
	id := strings.TrimSpace(a.ok("skerry", "run", "-d", testImage, "sleep", "1000"))
	a.ok("skerry", "exec", "--privileged", id, "date", "-s", "2001-01-01 00:00:00")
	a.eventually("the clock is right again", func() error {
		seconds, err := strconv.ParseInt(strings.TrimSpace(a.ok("skerry", "exec", id, "date", "+%s")), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if off := time.Since(time.Unix(seconds, 0)).Abs(); off > time.Minute {
			return fmt.Errorf("it is wrong by %v", off)
		}
		return nil
	})
	a.ok("skerry", "rm", "-f", id)
}
