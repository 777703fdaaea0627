// Package reason has the words by which the guest tells why a process could
// not be made or started. They travel in google.rpc.ErrorInfo.
package reason

// Domain is the ErrorInfo's domain.
const Domain = "skerry.guest"

const (
	NotFound      = "EXECUTABLE_NOT_FOUND" // exit status 127
	NotExecutable = "NOT_EXECUTABLE"       // exit status 126
	User          = "UNKNOWN_USER"
	Directory     = "WORKING_DIRECTORY"
)
