package callboard

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/callboard-rpc/callboard/internal/attempt"
)

// NewStream begins a streaming RPC. Generated stubs call it.
func (cc *ClientConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if len(cc.opts.callOptions) > 0 {
		opts = append(cc.opts.callOptions[:len(cc.opts.callOptions):len(cc.opts.callOptions)], opts...)
	}
	if cc.stream != nil {
		g, err := cc.grpcConn()
		if err != nil {
			return nil, err
		}
		return cc.stream(ctx, desc, g, method, cc.streamer, opts...)
	}
	return cc.newStream(ctx, desc, method, opts)
}

// streamer is the end of the interceptor chain.
func (cc *ClientConn) streamer(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.newStream(ctx, desc, method, opts)
}

// clientStream is the application's side of a streaming RPC. One goroutine may
// send while another receives.
type clientStream struct {
	cc       *ClientConn
	ctx      context.Context // ends with the RPC
	cancel   context.CancelFunc
	desc     *grpc.StreamDesc
	info     callInfo
	begin    begin
	throttle *attempt.Throttle
	relay    relay
	race     *race // nil: no policy, one attempt at a time

	closed    bool        // half-closed
	received  atomic.Bool // a message came
	headSeen  atomic.Bool
	finishing sync.Once
	final     struct { // kept when the call has been released
		mu      sync.Mutex
		over    bool
		err     error
		header  metadata.MD
		trailer metadata.MD
	}
	stopAfter func() bool // the relay's lock guards it
}

func (cc *ClientConn) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	r, err := cc.rulesFor(ctx, method)
	s := &clientStream{cc: cc, desc: desc}
	if err := s.start(ctx, method, opts, r, err); err != nil {
		return nil, err
	}
	return s, nil
}

// start begins the RPC by its rules. bad is why there are none.
func (s *clientStream) start(ctx context.Context, method string, opts []grpc.CallOption, r rules, bad error) error {
	s.throttle = r.throttle
	s.begin = begin{method: method, clientStream: s.desc.ClientStreams, serverStream: s.desc.ServerStreams, delayed: r.delayed}
	if err := s.info.read(s.cc, opts, r.methodConfig); bad == nil {
		bad = err
	}
	if bad != nil {
		s.info.finished(bad)
		return bad
	}
	if s.ctx, s.cancel = r.within(ctx); s.cancel == nil {
		// Applications wait for the end of a stream's context to learn of the
		// stream's.
		s.ctx, s.cancel = context.WithCancel(ctx)
	}
	s.relay.limit, s.relay.budget = s.info.retryBuffer, s.cc.sys.memory.queued
	if r.policy != nil {
		s.race = newRace(s, s.cc.attemptConfig(r.policy, r.throttle))
	}
	err := s.open()
	if err != nil {
		s.finish(err)
	}
	return err
}

// open begins the RPC.
func (s *clientStream) open() error {
	if s.race != nil {
		s.watch()
		return s.race.begin()
	}
	t := s.connect(false)
	s.relay.mu.Lock()
	s.relay.settle(t)
	s.relay.mu.Unlock()
	if t.err == nil {
		s.watch()
	}
	return t.err
}

// watch ends the stream with its context, even when nobody calls it any more.
func (s *clientStream) watch() {
	s.relay.mu.Lock() // canceled may run at once, and begins with taking it
	defer s.relay.mu.Unlock()
	s.stopAfter = context.AfterFunc(s.ctx, func() {
		defer s.cc.contain("stats handler or OnFinish", s.begin.method)
		s.canceled()
	})
}

// current is the attempt in force; nil while several race.
func (s *clientStream) current() *try {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	return s.relay.try
}

// chosen is the attempt that is the RPC. It waits until that is known, or the
// RPC is over.
func (s *clientStream) chosen() *try {
	if s.race != nil {
		select {
		case <-s.race.settled:
		case <-s.ctx.Done():
			s.canceled()
		}
	}
	return s.current()
}

// canceled runs when the context ends. The RPC ends with it, also one that is
// over: its application may never ask what has become of it.
func (s *clientStream) canceled() {
	if s.race != nil {
		if err := s.race.gaveUp(); s.race.quit(err) {
			s.finish(err)
			return
		}
	}
	s.relay.mu.Lock()
	t, moving := s.relay.try, s.relay.moving
	s.relay.mu.Unlock()
	if moving {
		return // whoever moves it looks at the context next
	}
	if t.err == nil {
		w := t.watch
		why := s.cc.gaveUp(s.ctx, t.call, t.ref.Ref, &w)
		t.gaveUp.CompareAndSwap(nil, why) // before Cancel: the receiver may see its end first
		if why = t.gaveUp.Load(); t.call.Cancel(why.st.Code(), why.st.Message()) || !s.complete(t) {
			s.finish(why)
			return
		}
	}
	s.finish(nil)
}

// complete says whether the application was given all that t, which is over, has
// brought: only then t's end is the RPC's, whatever the context says.
func (s *clientStream) complete(t *try) bool {
	return t.call.Ended() && (t.call.Status() != nil || s.desc.ServerStreams || s.received.Load())
}

// Context is the RPC's context, with the peer once it is known. It ends with the
// RPC: when RecvMsg has returned an error, SendMsg one other than io.EOF, or the
// context given to NewStream has ended.
func (s *clientStream) Context() context.Context {
	t := s.current()
	if t == nil {
		return s.ctx
	}
	if p := t.peer(); p != nil {
		return peer.NewContext(t.ctx, p)
	}
	return t.ctx
}

// Header waits for the response's headers. Both results are nil for a stream
// that has ended without: RecvMsg has the status.
func (s *clientStream) Header() (metadata.MD, error) {
	if md, over, _ := s.ended(); over {
		return md, nil
	}
	for {
		t := s.chosen()
		if t.call.WaitHeader(s.ctx.Done()) != nil {
			s.canceled()
		}
		if _, md, ok := t.call.Header(); ok {
			s.seeHeader(t)
			return md, nil
		}
		if !s.again(t) {
			break
		}
	}
	s.finish(nil)
	md, _, _ := s.ended()
	return md, nil
}

func (s *clientStream) ended() (header metadata.MD, over bool, err error) {
	s.final.mu.Lock()
	defer s.final.mu.Unlock()
	return s.final.header, s.final.over, s.final.err
}

// Trailer is the trailing metadata; nil before the stream's end.
func (s *clientStream) Trailer() metadata.MD {
	s.final.mu.Lock()
	defer s.final.mu.Unlock()
	return s.final.trailer
}
