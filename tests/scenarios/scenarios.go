// Package scenarios lists what Apple's Containerization tests about containers
// and pods, by its number there, so that the same can be shown here. A test that
// covers some of it carries the numbers at the end of its name.
package scenarios

import (
	"regexp"
	"strconv"
	"strings"
)

// Scenario is one of them.
type Scenario struct {
	Number int
	Name   string
	Absent string // why it is not tested here; empty: it is
}

// Reasons that several share.
const (
	noPodLevel = "a pod has no settings of its own: each container says what it wants"
	noHotPlug  = "a machine has the disks it was started with: Virtualization.framework adds none later"
)

// numbers at the end of a test's name, "limits 64 65".
var numbers = regexp.MustCompile(`(?:[ _]\d{1,3})+$`)

// Of returns the scenarios that a test covers, by its name or that of a subtest.
func Of(test string) (covered []int) {
	for field := range strings.FieldsFuncSeq(numbers.FindString(test), func(r rune) bool { return r == ' ' || r == '_' }) {
		n, _ := strconv.Atoi(field)
		covered = append(covered, n)
	}
	return covered
}

// All are the scenarios in the order of their numbers, from 1.
func All() []Scenario {
	all := make([]Scenario, len(names))
	for i, name := range names {
		all[i] = Scenario{Number: i + 1, Name: name, Absent: absent[i+1]}
	}
	return all
}

var names = [...]string{
	"a program that succeeds, with an odd amount of memory", "a program that fails", "output", "a program that is not there",
	"users and groups", "input", "HOME by default", "HOME of one's own", "TERM with a terminal", "host name",
	"host name by default", "/etc/hosts", "statistics", "limits of the control group", "killed for want of memory",
	"no console asked for", "configuration by a value", "250 MiB through stdout and stderr", "console output", "delete twice",
	"several execs that nobody deletes", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "the usual capabilities", "all capabilities",
	"CAP_CHOWN", "masked and read-only paths", "stat", "copy a file in", "copy into a directory that is there",
	"copy into one that is not", "copy a directory over a file", "copy a file out", "copy a large file", "copy a directory in",
	"copy a directory out", "copy an empty file", "copy an empty directory", "copy all byte values", "copy several files",
	"copy a directory there and back", "copy where parents are missing", "copy keeps modes", "copy 100 files", "read-only root",
	"/etc/hosts in a read-only root", "resolv.conf in a read-only root", "writable layer", "its journal: writeback", "its journal: ordered",
	"its journal: data", "it leaves the image alone", "it shows the image", "over a read-only root", "its size",
	"names and name servers in it", "128 KiB of input", "128 KiB of input for an exec", "an exec finds its program by PATH", "input that is closed",
	"input of all byte values", "input in pieces", "10 MiB of input", "limit of open files", "several limits",
	"limits of an exec", "init: output", "init: exit status", "init: signals", "init: orphans",
	"init: terminal", "init: input", "a sysctl", "several sysctls", "no_new_privs",
	"no_new_privs by default", "no_new_privs of an exec", "working directory is made", "that of an exec, too", "CPUs and memory beyond the container's",

	"a directory of the host", "one file of the host", "one file, read-only", "one file, written", "one file by a link",
	"one directory twice", "one directory and a link to it", "mounts by depth",

	"pod: one container", "pod: one after the other", "pod: output", "pod: side by side", "pod: exec",
	"pod: environment of an exec", "pod: host name", "pod: host name by default", "pod: stop twice", "pod: list",
	"pod: statistics", "pod: killed for want of memory", "pod: limits", "pod: files apart", "pod: processes apart",
	"pod: limits apart", "pod: processes shared", "pod: read-only root", "pod: name servers in it", "pod: hosts",
	"pod: name servers apart", "pod: hosts apart", "pod: name servers for all", "pod: name servers for all but one", "pod: hosts for all",
	"pod: hosts for all but one", "pod: host name for all", "pod: host name for all but one", "pod: limit of open files", "pod: limits of an exec",
	"pod: init: output", "pod: init: exit status", "pod: init: signals", "pod: with and without init", "pod: init with shared processes",
	"pod: sysctl", "pod: sysctls of several", "pod: a volume that is not defined", "pod: a volume defined twice", "pod: one file of the host",

	"stop twice", "the manager's way", "start again", "/dev/console", "nested virtualization",
	"freeze, copy the disk, thaw", "trim", "a socket of the host in the container", "with a long id", "through a link",
	"pod: a socket through a link", "81 programs at once", "81 with 20 MiB of output each", "NBD: a mount", "NBD: read-only",
	"NBD: raw", "NBD: which is which", "pod: a shared volume", "pod: several volumes", "pod: a volume that nobody uses",
	"pod: a volume that stays", "pod: a volume written by two at once", "pod: which volume is which", "pod: freeze, thaw, trim", "pod: a volume with three users",
	"pod: a shared tmpfs",

	"MTU of one's own", "no network", "a network", "IPv6", "IPv6 address",
	"IPv6 default route", "IPv6 gateway outside the subnet", "IPv6 alone: default route", "IPv6 alone: gateway outside the subnet", "IPv4 and IPv6",
	"pod: IPv6 address",

	"pod: a disk plugged in later", "pod: a directory plugged in later",
}

var absent = map[int]string{
	17: "Apple's two ways to write a configuration in Swift",
	49: "scratch disks are made with the default journal; its mode is not the user's to choose",
	50: "as 49", 51: "as 49",
	42:  "as docker has it, a copy makes no parents",
	111: noPodLevel, 112: noPodLevel, 113: noPodLevel, 114: noPodLevel, 115: noPodLevel, 116: noPodLevel,
	126: "a volume that is not there is made, as docker does",
	127: "volumes are named where they are used: none can be defined twice",
	130: "Apple's convenience class around what is tested elsewhere",
	154: "tmpfs mounts are a container's own",
	166: noHotPlug, 167: noHotPlug,
}
