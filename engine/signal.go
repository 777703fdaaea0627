package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
)

// Signals as Linux numbers them on x86_64 and arm64 (signal(7)). The container
// is always Linux; the host's own numbers may differ.
const (
	sigKILL = 9
	sigTERM = 15

	sigRTMIN, sigRTMAX = 34, 64
)

var signals = map[string]int{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "IOT": 6, "BUS": 7, "FPE": 8, "KILL": sigKILL, "USR1": 10,
	"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": sigTERM, "STKFLT": 16, "CHLD": 17, "CLD": 17, "CONT": 18, "STOP": 19,
	"TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29,
	"POLL": 29, "PWR": 30, "SYS": 31, "RTMIN": sigRTMIN, "RTMAX": sigRTMAX,
}

// parseSignal reads "TERM", "SIGTERM", "15", "RTMIN+3" or "RTMAX-1".
func parseSignal(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > sigRTMAX {
			return 0, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("signal %d does not exist: use 1 to %d", n, sigRTMAX))
		}
		return n, nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, ok := signals[name]; ok {
		return n, nil
	}
	for base, from := range map[string]int{"RTMIN+": sigRTMIN, "RTMAX-": -sigRTMAX} {
		if rest, ok := strings.CutPrefix(name, base); ok {
			if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= sigRTMAX-sigRTMIN {
				return max(from+n, -(from + n)), nil
			}
		}
	}
	return 0, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("unknown signal %q: use a name such as TERM or a number", s))
}
