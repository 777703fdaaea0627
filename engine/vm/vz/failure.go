package vz

import (
	"fmt"
	"strings"
)

// Domain and codes of the framework's errors (VZError.h).
const (
	vzErrorDomain = "VZErrorDomain"

	codeInternal          = 1
	codeInvalidConfig     = 2
	codeInvalidState      = 3
	codeInvalidTransition = 4
	codeInvalidDiskImage  = 5
	codeLimitExceeded     = 6
	codeOutOfDiskSpace    = 8
	codeNotSupported      = 10
	codeNBDNegotiation    = 20001 // macOS 14, as the next
	codeNBDDisconnected   = 20002
)

// entitlement is what a program must be signed with to make machines.
const entitlement = "com.apple.security.virtualization"

// failure is an NSError.
type failure struct {
	domain string
	code   int
	text   string // localizedDescription
}

// Error implements error: what happened in the framework's words, by which its
// number can be looked up, and what to do.
func (f failure) Error() string {
	text := fmt.Sprintf("%s (%s %d)", strings.TrimSuffix(f.text, "."), f.domain, f.code)
	if advice := f.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// unentitled tells whether this program is not signed as it must be, which
// shows when a configuration is validated.
func (f failure) unentitled() bool {
	return f.domain == vzErrorDomain && f.code == codeInvalidConfig && strings.Contains(f.text, entitlement)
}

// transient tells whether the machine was on its way from one state to another,
// so that trying again soon helps.
func (f failure) transient() bool {
	return f.domain == vzErrorDomain && (f.code == codeInvalidState || f.code == codeInvalidTransition)
}

// network tells whether it is about the server of a network block device.
func (f failure) network() bool {
	return f.domain == vzErrorDomain && (f.code == codeNBDNegotiation || f.code == codeNBDDisconnected)
}

func (f failure) advice() string {
	if f.domain != vzErrorDomain {
		return ""
	}
	switch f.code {
	case codeInternal:
		return `look for the reason with "` + logCommand + `"`
	case codeInvalidConfig:
		if f.unentitled() {
			return `sign Skerry with the entitlement ("skerry doctor" says how)`
		}
	case codeInvalidDiskImage:
		return "the image is not a raw one, or is damaged: make the container anew"
	case codeLimitExceeded:
		return "stop another container first"
	case codeOutOfDiskSpace:
		return `make room on this Mac's disk ("skerry prune" deletes what no container uses)`
	case codeNBDNegotiation:
		return "the server of the network block device is not there, or does not give out this export in the way that is asked for"
	case codeNBDDisconnected:
		return "the connection to the server of the network block device is lost; the disk works again when the server is back"
	case codeNotSupported:
		return "a newer macOS is needed"
	}
	return ""
}

// signCommand is what signs the program at a path with the entitlement; it must
// be given anew after every build. It needs nothing that is not on every Mac.
func signCommand(executable string) string {
	target := executable
	if bundle, _, ok := strings.Cut(executable, ".app/Contents/MacOS/"); ok {
		target = bundle + ".app"
	}
	const plist = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>` + entitlement + `</key><true/></dict></plist>`
	return fmt.Sprintf(`printf '%%s' '%s' >"$TMPDIR/skerry.plist" && codesign --force --options runtime --sign - --entitlements "$TMPDIR/skerry.plist" %s`,
		plist, quote(target))
}

// quote makes a path one word of a shell.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }
