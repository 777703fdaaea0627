//go:build linux

package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
)

// maxQMPLine bounds a message from QEMU.
const maxQMPLine = 1 << 20

// qmp is a client of the QEMU Machine Protocol (QEMU, docs/interop/qmp-spec.txt):
// one JSON object a line.
type qmp struct {
	conn  net.Conn
	event func(qmpEvent) // called from one goroutine
	ready chan struct{}  // closed by the greeting
	done  chan struct{}  // closed when the connection has ended

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]chan<- qmpMessage
}

// qmpMessage is any message from QEMU.
type qmpMessage struct {
	QMP    json.RawMessage `json:"QMP"`
	ID     uint64          `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *qmpError       `json:"error"`
	qmpEvent
}

// qmpEvent is an asynchronous message.
type qmpEvent struct {
	Event string `json:"event"`
	Data  struct {
		Reason string `json:"reason"` // of SHUTDOWN and RESET: a ShutdownCause
	} `json:"data"`
}

// qmpError is QEMU's answer to a command that failed.
type qmpError struct {
	Class       string `json:"class"`
	Description string `json:"desc"`
}

func (e *qmpError) Error() string { return e.Description }

var errQMPClosed = errors.New("QEMU has closed its control connection")

// newQMP reads from conn until it ends, and owns it.
func newQMP(conn net.Conn, event func(qmpEvent)) *qmp {
	q := &qmp{
		conn: conn, event: event,
		ready:   make(chan struct{}),
		done:    make(chan struct{}),
		pending: map[uint64]chan<- qmpMessage{},
	}
	go q.read()
	return q
}

func (q *qmp) read() {
	defer close(q.done)
	defer q.conn.Close()
	lines := bufio.NewScanner(q.conn)
	lines.Buffer(nil, maxQMPLine)
	for lines.Scan() {
		var m qmpMessage
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return // not QMP: nothing after it can be trusted
		}
		q.dispatch(m)
	}
}

func (q *qmp) dispatch(m qmpMessage) {
	switch {
	case m.QMP != nil:
		select {
		case <-q.ready:
		default:
			close(q.ready)
		}
	case m.Event != "":
		q.event(m.qmpEvent)
	default:
		q.mu.Lock()
		answer := q.pending[m.ID]
		delete(q.pending, m.ID)
		q.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
}

// handshake waits for QEMU's greeting and ends the negotiation. QEMU answers
// from its main loop, which it enters after it has let the machine run.
func (q *qmp) handshake(ctx context.Context) error {
	select {
	case <-q.ready:
	case <-q.done:
		return errQMPClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return q.execute(ctx, "qmp_capabilities", nil)
}

// execute runs a command without arguments and decodes its answer into result
// unless that is nil.
func (q *qmp) execute(ctx context.Context, command string, result any) error {
	answer := make(chan qmpMessage, 1)
	q.mu.Lock()
	q.lastID++
	id := q.lastID
	q.pending[id] = answer
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.pending, id)
	}()
	line, err := json.Marshal(map[string]any{"execute": command, "id": id})
	if err != nil {
		return err
	}
	if _, err := q.conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell QEMU to %s: %w", command, errQMPClosed)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			return fmt.Errorf("QEMU refused to %s: %w", command, m.Error)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(m.Return, result)
	case <-q.done:
		return fmt.Errorf("wait for QEMU to %s: %w", command, errQMPClosed)
	case <-ctx.Done():
		return fmt.Errorf("wait for QEMU to %s: %w", command, ctx.Err())
	}
}
