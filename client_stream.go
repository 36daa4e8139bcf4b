package callboard

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/stream"
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
	cc     *ClientConn
	ctx    context.Context
	cancel context.CancelFunc
	desc   *grpc.StreamDesc
	info   callInfo
	method string
	stats  *clientStats
	replay replay
	ref    balancer.Conn

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
	stopAfter func() bool
}

func (cc *ClientConn) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	s := &clientStream{cc: cc, desc: desc, method: method}
	mc, delayed, err := cc.methodConfig(ctx, method)
	if bad := s.info.read(cc, opts, mc); err == nil {
		err = bad
	}
	if err != nil {
		s.info.finished(err)
		return nil, err
	}
	if ctx, s.cancel = mc.within(ctx); s.cancel == nil {
		// Applications wait for the end of a stream's context to learn of the
		// stream's.
		ctx, s.cancel = context.WithCancel(ctx)
	}
	s.ctx, s.stats = cc.beginStats(ctx, &s.info, begin{
		method: method, clientStream: desc.ClientStreams, serverStream: desc.ServerStreams, delayed: delayed,
	})
	if err := s.open(); err != nil {
		s.stats.end(err)
		s.info.finished(err)
		s.cancel()
		return nil, err
	}
	return s, nil
}

// open begins the RPC.
func (s *clientStream) open() error {
	c, ref, err := s.attempt()
	if err != nil {
		return err
	}
	s.stats.sentHeader(c)
	s.replay.mu.Lock() // canceled may run at once, and begins with taking it
	defer s.replay.mu.Unlock()
	s.replay.call, s.ref = c, ref
	// The stream ends with its context even when nobody calls it any more.
	s.stopAfter = context.AfterFunc(s.ctx, func() {
		defer s.cc.contain("stats handler or OnFinish", s.method)
		s.canceled()
	})
	return nil
}

// attempt waits for a stream on a connection, on another if one refuses.
func (s *clientStream) attempt() (*stream.Call, balancer.Conn, error) {
	for {
		if err := s.ctx.Err(); err != nil {
			return nil, balancer.Conn{}, status.FromContextError(err).Err()
		}
		ref, err := s.cc.edge.pick(s.ctx, s.info.waitForReady)
		if err != nil {
			return nil, balancer.Conn{}, statusError(err)
		}
		c := stream.NewCall()
		c.Keep = true
		if err := s.cc.fillRequest(s.ctx, c, s.method, &s.info, ref); err != nil {
			c.Discard()
			return nil, balancer.Conn{}, err
		}
		c.Open(ref.Transport())
		if err := c.WaitOpened(s.ctx.Done()); err != nil {
			st := contextStatus(s.ctx, s.cc.whereWas(c))
			if c.Cancel(st.Code(), st.Message()) {
				c.Release()
				return nil, balancer.Conn{}, st.Err()
			}
		}
		if c.Opened() {
			return c, ref, nil
		}
		c.Release()
		s.cc.edge.awaitAnother(s.ctx, ref)
	}
}

// canceled runs when the context ends.
func (s *clientStream) canceled() {
	st := contextStatus(s.ctx, "")
	if s.current().Cancel(st.Code(), st.Message()) {
		s.finish(st.Err())
	}
}

// Context is the RPC's context, with the peer. It ends with the RPC: when
// RecvMsg has returned an error, SendMsg one other than io.EOF, or the context
// given to NewStream has ended.
func (s *clientStream) Context() context.Context {
	s.replay.mu.Lock()
	ref := s.ref
	s.replay.mu.Unlock()
	if p := peerOf(ref.Info()); p != nil {
		return peer.NewContext(s.ctx, p)
	}
	return s.ctx
}

// Header waits for the response's headers. Both results are nil for a stream
// that has ended without: RecvMsg has the status.
func (s *clientStream) Header() (metadata.MD, error) {
	if md, over, _ := s.ended(); over {
		return md, nil
	}
	for {
		c := s.current()
		if c.WaitHeader(s.ctx.Done()) != nil {
			s.canceled()
		}
		if _, md, ok := c.Header(); ok {
			s.seeHeader(c)
			return md, nil
		}
		if !s.again(c) {
			break
		}
	}
	s.finishWithOutcome()
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

// SendMsg sends a message. io.EOF says that the stream is over: RecvMsg has the
// reason.
func (s *clientStream) SendMsg(m any) error {
	if s.closed {
		return s.misuse("SendMsg called after CloseSend")
	}
	wire, sizes, err := s.encode(m)
	if err != nil {
		err = statusError(err)
		s.abort(err)
		return err
	}
	return s.send(m, wire, sizes)
}

func (s *clientStream) encode(m any) (*buffer.Buffer, codec.Sizes, error) {
	if p, ok := m.(*PreparedMsg); ok {
		return p.take(s.info.codec, s.info.encoding, s.info.maxSend)
	}
	return codec.Encode(s.info.codec, s.info.compressor, m, s.info.maxSend)
}

// prepare implements preparer.
func (s *clientStream) prepare(m any) (prepared, error) {
	wire, sizes, err := codec.Encode(s.info.codec, s.info.compressor, m, s.info.maxSend)
	if err != nil {
		return prepared{}, statusError(err)
	}
	return prepared{wire: wire, sizes: sizes, codec: s.info.codec.Name(), encoding: s.info.encoding}, nil
}

func (s *clientStream) send(m any, wire *buffer.Buffer, sizes codec.Sizes) error {
	// The last message of a stream that sends one travels with END_STREAM.
	end := !s.desc.ClientStreams
	s.closed = s.closed || end
	c := s.replay.keep(wire, end)
	err := c.Send(wire, end, s.ctx.Done())
	if errors.Is(err, stream.ErrDone) {
		wire.Release()
		s.canceled()
		return s.sendEnded()
	}
	if err != nil && !s.again(c) {
		return s.sendEnded()
	}
	s.stats.sentPayload(m, sizes)
	return nil
}

// sendEnded is what SendMsg returns on a stream that is over. Where the client
// sends one message, generated code would hand io.EOF to the application as the
// RPC's error; there RecvMsg, which comes next, has the status.
func (s *clientStream) sendEnded() error {
	if !s.desc.ClientStreams {
		return nil
	}
	return io.EOF
}

// CloseSend half-closes the stream. It never fails.
func (s *clientStream) CloseSend() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.replay.keep(nil, true).CloseSend()
	return nil
}

func (s *clientStream) misuse(what string) error {
	err := status.Error(codes.Internal, what)
	s.abort(err)
	return err
}
