//go:build linux

package qemu

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// tscParameters are kernel parameters that tell an x86 guest under TCG the
// frequency of its time stamp counter, which is the host's. The guest would
// measure it otherwise, wrongly when the host is busy. They are nil when the
// host's counter does not tick evenly or its frequency is not known.
func tscParameters(cpuinfo string) []string {
	data, err := os.ReadFile(cpuinfo)
	if err != nil {
		return nil
	}
	khz := tscKHz(string(data))
	if khz == 0 {
		return nil
	}
	return []string{"tsc_early_khz=" + strconv.FormatInt(khz, 10), "tsc=reliable", "no_timer_check"}
}

// tscKHz finds the frequency in the first processor's entry of /proc/cpuinfo,
// 0 when it is not there. On x86 the kernel computes BogoMIPS from the counter:
// two for each MHz, to two decimal places (calibrate_delay, with lpj_fine set by
// tsc_init).
func tscKHz(cpuinfo string) int64 {
	const plausibleMin, plausibleMax = 500_000, 10_000_000
	first, _, _ := strings.Cut(cpuinfo, "\n\n")
	var even bool
	var khz int64
	for line := range strings.Lines(first) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "flags":
			flags := strings.Fields(value)
			even = slices.Contains(flags, "constant_tsc") && slices.Contains(flags, "nonstop_tsc")
		case "bogomips":
			if mips, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				khz = int64(mips*500 + 0.5)
			}
		}
	}
	if !even || khz < plausibleMin || khz > plausibleMax {
		return 0
	}
	return khz
}
