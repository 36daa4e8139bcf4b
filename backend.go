package callboard

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/stream"
)

// backend makes RPCs to one subchannel, past the channel's picker: what watches a
// backend's health or load does. Interceptors, stats handlers, service config
// and retries have no part in them.
type backend struct {
	cc  *ClientConn
	get func() (balancer.Conn, bool) // the connection of the moment
}

var _ grpc.ClientConnInterface = (*backend)(nil)

var errSubchannelNotReady = status.Error(codes.Unavailable, "the subchannel is not READY")

// Invoke implements grpc.ClientConnInterface.
func (b *backend) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := b.NewStream(ctx, &grpc.StreamDesc{}, method, opts...)
	if err != nil {
		return err
	}
	if err := s.SendMsg(args); err != nil {
		return err
	}
	return s.RecvMsg(reply)
}

// NewStream implements grpc.ClientConnInterface. The stream ends with ctx, or
// when RecvMsg has returned an error.
func (b *backend) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s := &backendStream{cc: b.cc, ctx: ctx, desc: desc}
	if err := s.info.read(b.cc, opts, nil); err != nil {
		return nil, statusError(err)
	}
	var up bool
	if s.on, up = b.get(); !up {
		return nil, errSubchannelNotReady
	}
	c := stream.NewCall()
	c.Keep = true
	if err := b.cc.fillRequest(ctx, c, method, &s.info, &picked{Conn: s.on}); err != nil {
		c.Discard()
		return nil, err
	}
	ended := s.on.Aside()
	c.Open(s.on.Transport())
	if err := c.WaitOpened(ctx.Done()); err != nil {
		c.Cancel(status.FromContextError(ctx.Err()).Code(), "")
	}
	s.call = c
	s.stopAfter = context.AfterFunc(ctx, func() {
		st := status.FromContextError(ctx.Err())
		c.Cancel(st.Code(), st.Message())
		c.Release()
		ended()
	})
	s.ended = ended
	return s, nil
}

// backendStream is a stream of backend. One goroutine may send while another
// receives.
type backendStream struct {
	cc        *ClientConn
	ctx       context.Context
	desc      *grpc.StreamDesc
	info      callInfo
	on        balancer.Conn
	call      *stream.Call
	stopAfter func() bool
	ended     func()
	over      error // what RecvMsg has ended with
	trailer   metadata.MD
}

// Context is the stream's.
func (s *backendStream) Context() context.Context { return s.ctx }

// Header waits for the response's headers; nil for a stream that has ended
// without.
func (s *backendStream) Header() (metadata.MD, error) {
	if s.call.WaitHeader(s.ctx.Done()) != nil {
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
	return headerOf(s.call), nil
}

// Trailer is the trailing metadata, behind the stream's end.
func (s *backendStream) Trailer() metadata.MD { return s.trailer }

// SendMsg sends a message. io.EOF says that the stream is over: RecvMsg has the
// reason.
func (s *backendStream) SendMsg(m any) error {
	wire, _, err := codec.Encode(s.info.codec, s.info.compressor, m, s.info.maxSend)
	if err != nil {
		return statusError(err)
	}
	err = s.call.Send(wire, !s.desc.ClientStreams, s.ctx.Done())
	if errors.Is(err, stream.ErrDone) {
		wire.Release()
		return io.EOF
	}
	return err
}

// CloseSend half-closes the stream. Where the client sends one message, that has
// done it.
func (s *backendStream) CloseSend() error {
	if s.desc.ClientStreams {
		s.call.CloseSend()
	}
	return nil
}

// RecvMsg receives a message. io.EOF is the successful end.
func (s *backendStream) RecvMsg(m any) error {
	if s.over != nil {
		return s.over
	}
	msg, err := s.call.Recv(s.ctx.Done())
	if err != nil {
		return s.end()
	}
	_, err = s.cc.decode(s.ctx, &s.info, s.call, msg, m)
	msg.Buf.Release()
	return err
}

func (s *backendStream) end() error {
	s.over = io.EOF
	if err := s.ctx.Err(); err != nil {
		s.over = status.FromContextError(err).Err()
		return s.over
	}
	if st := s.call.Status(); st != nil {
		s.over = st.Err()
	}
	s.trailer = s.call.Trailer()
	if s.stopAfter() {
		s.call.Release()
		s.ended()
	}
	return s.over
}
