package vm

import (
	"fmt"

	"github.com/skerry-app/skerry/engine/nbd"
)

// Address is where a network block device is served.
func (d Disk) Address() (nbd.Address, error) {
	a, err := nbd.Parse(d.URL)
	if err == nil && d.Path != "" {
		err = fmt.Errorf("it has both a path, %s, and a URL", d.Path)
	}
	return a, err
}
