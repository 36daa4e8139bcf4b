package callboard

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// A serverCall is the context of its handler. Most handlers never ask for
// Done, so what Done needs is made when it is asked for: a real context of
// package context, to which derived contexts attach themselves without a
// goroutine, also through the values that interceptors add.

// keys under which functions of other packages look values up in a context.
// Their types are unexported: they are found out by asking.
var keys = struct{ incoming, peer, stream, cancel any }{
	incoming: keyOf(func(ctx context.Context) { metadata.FromIncomingContext(ctx) }),
	peer:     keyOf(func(ctx context.Context) { peer.FromContext(ctx) }),
	stream:   keyOf(func(ctx context.Context) { grpc.ServerTransportStreamFromContext(ctx) }),
	cancel:   keyOf(func(ctx context.Context) { _ = context.Cause(ctx) }),
}

// probe is a context that remembers what it was asked for.
type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

// Err claims an end: only a context that has ended is asked for its cause.
func (p *probe) Err() error { return context.Canceled }

// keyOf is the key that ask looks up. One that cannot be found out is a value
// that nobody else has: then the context answers like any other that does not
// know.
func keyOf(ask func(context.Context)) any {
	p := &probe{Context: context.Background(), key: new(int)}
	ask(p)
	return p.key
}

var _ context.Context = (*serverCall)(nil)

// Deadline implements context.Context.
func (s *serverCall) Deadline() (time.Time, bool) { return s.deadline, !s.deadline.IsZero() }

// Err implements context.Context.
func (s *serverCall) Err() error { return s.cancel.reason() }

// Done implements context.Context.
func (s *serverCall) Done() <-chan struct{} { return s.cancel.context().Done() }

// Value implements context.Context. Incoming metadata is decoded when it is
// asked for.
func (s *serverCall) Value(key any) any {
	switch key {
	case keys.incoming:
		return s.incoming()
	case keys.stream:
		return s
	case keys.peer:
		return s.sc.peer
	case keys.cancel:
		if ctx := s.cancel.made(); ctx != nil {
			return ctx.Value(key)
		}
		return nil
	}
	if ctx := s.sc.stats.ctx; ctx != nil {
		return ctx.Value(key)
	}
	return nil
}

// String implements fmt.Stringer: contexts that are derived print it.
func (s *serverCall) String() string { return "callboard.Call(" + s.in.Method + ")" }

func (s *serverCall) incoming() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.md == nil {
		s.md = s.in.Metadata()
	}
	return s.md
}

// Cancel implements stream.Canceler: the stream ended before its handler. It
// runs on an actor's turn.
func (s *serverCall) Cancel(err error) {
	reason := context.Canceled
	if status.Code(err) == codes.DeadlineExceeded {
		reason = context.DeadlineExceeded
	}
	s.cancel.fail(reason, err)
}

// endStatus is what Send and Recv return of an RPC that ended before its
// handler. A client that is gone, in whatever way, has cancelled.
func (s *serverCall) endStatus() *status.Status {
	err := s.cancel.cause()
	if err == nil {
		return status.New(codes.Internal, "the RPC is over: its handler has returned")
	}
	return earlyEnd(err)
}

func earlyEnd(err error) *status.Status {
	st := status.Convert(err)
	if st.Code() == codes.Unavailable {
		return status.New(codes.Canceled, st.Message())
	}
	return st
}

// cancellation is the part of a context that can end.
type cancellation struct {
	mu    sync.Mutex
	err   error // Canceled or DeadlineExceeded
	early error // the status of a stream that ended before its handler
	ctx   context.Context
	stop  context.CancelFunc
	fire  func() // ends ctx with err
}

// reason is nil until the context is done, and not any longer.
func (c *cancellation) reason() error {
	c.mu.Lock()
	ctx, err := c.ctx, c.err
	c.mu.Unlock()
	if ctx != nil {
		return ctx.Err()
	}
	return err
}

func (c *cancellation) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.early
}

func (c *cancellation) made() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctx
}

// context is the context that derived ones attach themselves to.
func (c *cancellation) context() context.Context {
	c.mu.Lock()
	if c.ctx != nil {
		defer c.mu.Unlock()
		return c.ctx
	}
	// WithCancel asks its parent to call back through AfterFunc, at once. The
	// parent does not lock: we do.
	c.ctx, c.stop = context.WithCancel((*canceled)(c))
	fire := c.fire
	ended := c.err != nil
	ctx := c.ctx
	c.mu.Unlock()
	if ended {
		fire()
	}
	return ctx
}

// fail ends the context because the stream ended.
func (c *cancellation) fail(reason, early error) {
	c.mu.Lock()
	if c.early == nil && c.err == nil {
		c.early = early
	}
	c.mu.Unlock()
	c.end(reason)
}

// end ends the context, once.
func (c *cancellation) end(reason error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = reason
	fire, stop := c.fire, c.stop
	c.mu.Unlock()
	if fire != nil {
		fire()
		stop()
	}
}

// canceled is the parent of a cancellation's context: all it does is to end
// with the right error. Its methods are called by package context only.
type canceled cancellation

var never = make(chan struct{})

func (*canceled) Deadline() (time.Time, bool) { return time.Time{}, false }
func (*canceled) Done() <-chan struct{}       { return never }
func (*canceled) Value(any) any               { return nil }

// Err is asked for while the context is made, under the lock, when it is nil
// or never; and by fire, after it was set for good.
func (c *canceled) Err() error { return c.err }

// AfterFunc is how package context asks to be called.
func (c *canceled) AfterFunc(f func()) func() bool {
	c.fire = f
	return neverStopped
}

func neverStopped() bool { return true }
