//go:build linux

package qemu

import (
	"log/slog"

	"github.com/skerry-app/skerry/engine/sharefs"
	"github.com/skerry-app/skerry/engine/vhostuser"
	"github.com/skerry-app/skerry/engine/vm"
)

// shareQueue is the length of the queue of requests: as many pieces of memory
// as a request of the largest size has, and some that run beside it.
const shareQueue = 1024

// shares are a machine's shared directories with the device that carries them.
type shares struct {
	server *sharefs.Server
	device *vhostuser.FS
}

func openShares(list []vm.Share, log *slog.Logger) (*shares, error) {
	if len(list) == 0 {
		return nil, nil
	}
	var served []sharefs.Share
	for _, s := range list {
		served = append(served, sharefs.Share(s))
	}
	server, err := sharefs.New(served, log)
	if err != nil {
		return nil, err
	}
	return &shares{server, vhostuser.NewFS(server.Handle, log)}, nil
}

// close lets go of the directories. QEMU has ended.
func (s *shares) close() {
	if s == nil {
		return
	}
	s.device.Close()
	s.server.Close()
}
