package conn

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/credentials"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec/frame"
	"github.com/callboard-rpc/callboard/conn/connfsm"
)

// maxBatches is how many batches may wait for the connection before the reader
// stops reading; with frame.BatchCap frames each, that is the reader's credit.
const maxBatches = 2

// reader is the actor that blocks in Read.
//
// Role: bytes -> frames -> one batch of events per socket read. It owns the
// HPACK decoder and the messages that have begun to arrive.
//
// Messages in: begin, read (from itself), forget.
//
// Messages out, to the connection: up, *frame.Batch, readEnded.
//
// States: handshake, reading, ended.
//
// Supervision: a panic escalates, because the HPACK state is unknown then. It
// cannot see Stop while it blocks; the connection closes the socket first.
type reader struct {
	cfg     *Config // until it has begun
	nc      net.Conn
	src     *source
	r       *frame.Reader
	conn    actors.Ref[any]
	self    actors.Ref[any]
	credits *credits
}

// Receive implements actor.Actor.
func (r *reader) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *begin:
		r.begin()
	case *read:
		r.read()
	case *forget:
		if r.r != nil {
			r.r.Forget(m.id)
		}
	case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting:
	default:
		actors.Unhandled(ctx)
	}
}

func (r *reader) begin() {
	nc, auth, err := r.handshake()
	if err != nil {
		r.end(&HandshakeError{Err: err})
		return
	}
	r.nc = nc
	r.src = newSource(nc)
	r.r = frame.NewReader(r.src, r.cfg.Reader)
	r.src.block, r.src.limit = r.r.OpenBlock, r.cfg.HeaderTime
	r.conn.Tell(&up{nc: nc, auth: auth})
	if r.cfg.Machine.Role == connfsm.Server {
		if err := r.r.ReadPreface(); err != nil {
			r.end(err)
			return
		}
	}
	r.cfg = nil
	r.self.Probe().SetState("reading")
	r.self.Tell(theRead)
}

var (
	theRead  = &read{}
	theQuiet = &quiet{}
)

func (r *reader) handshake() (net.Conn, credentials.AuthInfo, error) {
	if r.cfg.Handshake == nil {
		return r.nc, r.cfg.AuthInfo, nil
	}
	r.self.Probe().SetState("handshake")
	// The machine's own limit counts from here to the first SETTINGS; this one
	// only frees the blocked goroutine.
	if limit := r.cfg.Timeout; limit > 0 {
		_ = r.nc.SetDeadline(time.Now().Add(limit))
	}
	nc, auth, err := r.cfg.Handshake(r.nc)
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	return nc, auth, err
}

// read reads the socket once. Errors end the reader; good frames before the
// error are still delivered.
func (r *reader) read() {
	if r.r.Pause() {
		if ready, err := r.src.await(); err != nil {
			r.end(err)
			return
		} else if !ready {
			r.rest()
			return
		}
	}
	b := frame.NewBatch()
	err := r.r.ReadBatch(b)
	if len(b.Frames) > 0 {
		r.credits.take()
		r.conn.Tell(b)
	} else {
		b.Free()
	}
	if err != nil {
		if r.r.OpenBlock() != 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			err = &frame.ConnError{Code: frame.EnhanceYourCalm, Blame: frame.Remote, Reason: "a header block was not finished within " + r.src.limit.String()}
		}
		r.end(err)
		return
	}
	r.credits.wait()
	r.self.Tell(theRead)
}

// rest gives the goroutine back until there is something to read. The
// connection, too, has no use for what it keeps at hand.
func (r *reader) rest() {
	r.r.Rest()
	r.conn.Tell(theQuiet)
	src, self := r.src, r.self
	// Edge: the socket. What waits there ends with it.
	go func() {
		src.sleep()
		self.Tell(theRead)
	}()
}

func (r *reader) end(err error) {
	r.self.Probe().SetState("ended")
	if r.r != nil {
		r.r.Close()
	}
	r.conn.Tell(&readEnded{err: err})
}

// HandshakeError is a transport handshake that did not succeed.
type HandshakeError struct{ Err error }

func (e *HandshakeError) Error() string { return "transport handshake: " + e.Err.Error() }

// Unwrap returns the handshake's own error.
func (e *HandshakeError) Unwrap() error { return e.Err }

// credits keep the reader from running ahead of the connection. The zero
// credits are ready.
type credits struct {
	out atomic.Int32

	mu     sync.Mutex
	closed bool
	wake   chan struct{} // Edge: the reader waits here, as it would in Read; made when it first does
}

func (c *credits) take() { c.out.Add(1) }

func (c *credits) give() {
	if c.out.Add(-1) == maxBatches-1 {
		c.signal()
	}
}

func (c *credits) signal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wake != nil {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *credits) wait() {
	for c.out.Load() >= maxBatches {
		c.mu.Lock()
		if c.wake == nil {
			c.wake = make(chan struct{}, 1)
		}
		over := c.closed || c.out.Load() < maxBatches // looked at again, now that give finds somebody to wake
		c.mu.Unlock()
		if over {
			return
		}
		<-c.wake
	}
}

func (c *credits) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.signal()
}
