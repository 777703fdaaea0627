//go:build linux

// Package server answers the host: it is the guest's side of guest/api.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skerry-app/skerry/guest/api"
	"github.com/skerry-app/skerry/guest/api/reason"
	"github.com/skerry-app/skerry/guest/archive"
	"github.com/skerry-app/skerry/guest/cgroup"
	"github.com/skerry-app/skerry/guest/disk"
	"github.com/skerry-app/skerry/guest/launch"
	"github.com/skerry-app/skerry/guest/process"
	"github.com/skerry-app/skerry/guest/translator"
)

// Options is what a Server needs.
type Options struct {
	Version string
	Reaper  *process.Reaper
	// FirstGroup returns the control group of the first container.
	FirstGroup func() (*cgroup.Group, error)
	// When the agent was started and when it served, since the kernel started.
	InitStarted, Serving time.Duration
}

// Server implements api.AgentServer.
type Server struct {
	api.UnimplementedAgentServer
	Options

	disks      disk.Pool
	sharedPIDs func() (pidfd int, err error)

	mu          sync.Mutex
	configured  bool
	firstTaken  bool
	address     string   // of the machine's first interface
	nameservers []string // of its network, if that has said
	translators *translator.Set
	containers  map[string]*container // nil while one is being made or removed
	frozen      map[uint64]*frozen    // file systems, by device
}

// New returns a server.
func New(o Options) *Server {
	return &Server{Options: o, translators: &translator.Set{}, containers: map[string]*container{}, frozen: map[uint64]*frozen{}, sharedPIDs: sync.OnceValues(holdPIDs)}
}

// Info implements api.AgentServer.
func (s *Server) Info(context.Context, *api.InfoRequest) (*api.InfoResponse, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, failed(err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, failed(err)
	}
	resident, err := residentBytes()
	if err != nil {
		return nil, failed(err)
	}
	return &api.InfoResponse{ResidentBytes: resident, Major: api.Major, Minor: api.Minor, Version: s.Version, Kernel: unix.ByteSliceToString(u.Release[:]),
		InitStartedNs: uint64(s.InitStarted), ServingNs: uint64(s.Serving),
		OpenFiles: uint32(len(files)), Goroutines: uint32(runtime.NumGoroutine())}, nil
}

// residentBytes is how much memory this process has (proc_pid_statm(5)).
func residentBytes() (uint64, error) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var size, resident uint64
	_, err = fmt.Sscan(string(data), &size, &resident)
	return resident * uint64(os.Getpagesize()), err
}

// process finds the process that a request names.
func (s *Server) process(r interface {
	GetContainer() string
	GetId() string
}) (*container, *process.Process, error) {
	c, err := s.container(r.GetContainer())
	if err != nil {
		return nil, nil, err
	}
	p, err := c.table.Get(r.GetId())
	return c, p, err
}

// CreateProcess implements api.AgentServer.
func (s *Server) CreateProcess(ctx context.Context, r *api.CreateProcessRequest) (*api.CreateProcessResponse, error) {
	if r.Process == nil || r.Process.Id == "" || r.Process.Id == process.Init {
		return nil, status.Error(codes.InvalidArgument, "a process needs an id other than "+process.Init)
	}
	c, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	if err := c.table.Create(ctx, r.Process, nil); err != nil {
		return nil, failed(err)
	}
	return &api.CreateProcessResponse{}, nil
}

// StartProcess implements api.AgentServer.
func (s *Server) StartProcess(_ context.Context, r *api.StartProcessRequest) (*api.StartProcessResponse, error) {
	c, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	pid, err := c.table.Start(r.Id)
	if err != nil {
		return nil, failed(err)
	}
	return &api.StartProcessResponse{Pid: pid}, nil
}

// WaitProcess implements api.AgentServer.
func (s *Server) WaitProcess(ctx context.Context, r *api.WaitProcessRequest) (*api.WaitProcessResponse, error) {
	_, p, err := s.process(r)
	if err != nil {
		return nil, failed(err)
	}
	e, err := p.Wait(ctx)
	if err != nil {
		return nil, failed(err)
	}
	w := &api.WaitProcessResponse{ExitCode: int32(e.Status.ExitStatus()), OomKilled: e.OOMKilled, ExitedAt: timestamppb.New(e.At)}
	if e.Status.Signaled() {
		w.Signal = int32(e.Status.Signal())
		w.ExitCode = 128 + w.Signal
	}
	return w, nil
}

// SignalProcess implements api.AgentServer.
func (s *Server) SignalProcess(_ context.Context, r *api.SignalProcessRequest) (*api.SignalProcessResponse, error) {
	c, p, err := s.process(r)
	if err != nil {
		return nil, failed(err)
	}
	sig := unix.Signal(r.Signal)
	if r.All {
		err = c.group.Signal(sig)
	} else {
		err = p.Signal(sig)
	}
	if err != nil {
		return nil, failed(err)
	}
	return &api.SignalProcessResponse{}, nil
}

// ResizeProcess implements api.AgentServer.
func (s *Server) ResizeProcess(_ context.Context, r *api.ResizeProcessRequest) (*api.ResizeProcessResponse, error) {
	if r.Rows > 0xffff || r.Columns > 0xffff {
		return nil, status.Errorf(codes.InvalidArgument, "a terminal of %d rows and %d columns is too large", r.Rows, r.Columns)
	}
	_, p, err := s.process(r)
	if err == nil {
		err = p.Resize(uint16(r.Rows), uint16(r.Columns))
	}
	if err != nil {
		return nil, failed(err)
	}
	return &api.ResizeProcessResponse{}, nil
}

// DeleteProcess implements api.AgentServer.
func (s *Server) DeleteProcess(_ context.Context, r *api.DeleteProcessRequest) (*api.DeleteProcessResponse, error) {
	c, err := s.container(r.Container)
	if err != nil { // and its processes with it
		return &api.DeleteProcessResponse{}, nil
	}
	if err := c.table.Delete(r.Id); err != nil {
		return nil, failed(err)
	}
	return &api.DeleteProcessResponse{}, nil
}

// ListProcesses implements api.AgentServer.
func (s *Server) ListProcesses(_ context.Context, r *api.ListProcessesRequest) (*api.ListProcessesResponse, error) {
	c, err := s.container(r.Container)
	if err != nil {
		return nil, err
	}
	list, err := listProcesses(c.group)
	if err != nil {
		return nil, failed(err)
	}
	return &api.ListProcessesResponse{Processes: list}, nil
}

// SetTime implements api.AgentServer.
func (s *Server) SetTime(_ context.Context, r *api.SetTimeRequest) (*api.SetTimeResponse, error) {
	if off := time.Until(r.Time.AsTime()).Abs(); r.Time.IsValid() && off < r.Tolerance.AsDuration() {
		return &api.SetTimeResponse{}, nil
	}
	if err := setTime(r.Time); err != nil {
		return nil, failed(err)
	}
	return &api.SetTimeResponse{}, nil
}

func setTime(t *timestamppb.Timestamp) error {
	if err := t.CheckValid(); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	tv := unix.NsecToTimeval(t.AsTime().UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the clock to %v: %w", t.AsTime(), err)
	}
	return nil
}

// shutdownTimeout bounds how long it may take to kill a container and to
// unmount its disks.
const shutdownTimeout = 15 * time.Second

// failed turns an error into gRPC's, with the reason if it has one. One that is
// gRPC's already stays.
func failed(err error) error {
	if _, ok := status.FromError(err); ok {
		return err
	}
	var le *launch.Error
	code := codes.Internal
	switch {
	case errors.As(err, &le):
		st := status.New(codes.FailedPrecondition, err.Error())
		detailed, derr := st.WithDetails(&errdetails.ErrorInfo{Reason: le.Reason, Domain: reason.Domain})
		if derr != nil {
			return st.Err()
		}
		return detailed.Err()
	case errors.Is(err, process.ErrInvalid), errors.Is(err, archive.ErrNotDirectory), errors.Is(err, archive.ErrKind), errors.Is(err, unix.ENOTDIR):
		code = codes.InvalidArgument
	case errors.Is(err, process.ErrUnknown), errors.Is(err, unix.ENOENT):
		code = codes.NotFound
	case errors.Is(err, process.ErrExists):
		code = codes.AlreadyExists
	case errors.Is(err, process.ErrRunning), errors.Is(err, process.ErrNotRunning), errors.Is(err, process.ErrNotReady), errors.Is(err, process.ErrNoInit):
		code = codes.FailedPrecondition
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	return status.Error(code, err.Error())
}
