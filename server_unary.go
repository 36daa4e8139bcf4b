package callboard

import (
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/codec/buffer"
	"github.com/callboard-rpc/callboard/stream"
)

// serveUnary runs a unary handler. Its whole response is one message to the
// stream's actor.
func (s *serverCall) serveUnary() {
	if st := s.receiveRequest(); st != nil {
		s.conclude(st)
		return
	}
	reply, err := s.m.unary.Handler(s.m.impl, s.ctx, s.decode, s.sc.srv.unary)
	if err != nil {
		s.conclude(handlerStatus(err))
		return
	}
	payload, sizes, err := s.encode(reply)
	if err != nil {
		s.conclude(status.Convert(err))
		return
	}
	s.stats.sentPayload(s, reply, sizes)
	s.over(nil, payload)
}

// receiveRequest waits for the one message of a unary request, and for the
// request's end. Octets it takes are credited with the RPC's end, so nothing
// is reported here.
func (s *serverCall) receiveRequest() *status.Status {
	msg, err := s.call.Recv(nil) // a stream that ends early wakes us
	if err != nil {
		if errors.Is(err, io.EOF) {
			return requestCardinality(0)
		}
		return earlyEnd(err)
	}
	s.request = msg
	if s.call.Ended() {
		return nil
	}
	extra, err := s.call.Recv(nil)
	switch {
	case err == nil:
		extra.Buf.Release()
		return requestCardinality(2)
	case errors.Is(err, io.EOF):
		return nil
	default:
		return earlyEnd(err)
	}
}

// requestCardinality is the status of a request without its one message
// (gRPC's status code table: UNIMPLEMENTED).
func requestCardinality(n int) *status.Status {
	if n == 0 {
		return status.New(codes.Unimplemented, "the request has no message, where the method takes one")
	}
	return status.New(codes.Unimplemented, "the request has several messages, where the method takes one")
}

// decode reads the request into v. Generated code calls it, once.
func (s *serverCall) decode(v any) error {
	msg := s.request
	if msg.Buf == nil {
		return status.Error(codes.Internal, "the request was decoded before")
	}
	s.request = stream.Message{}
	return s.unmarshal(msg, v)
}

// unmarshal reads a message into v and releases it.
func (s *serverCall) unmarshal(msg stream.Message, v any) error {
	sizes, err := s.sc.srv.opts.limits.inflations.Decode(s, s.codec, s.inflater, msg.Compressed, msg.Buf.B, v, s.sc.srv.opts.maxRecv)
	msg.Buf.Release()
	if err != nil {
		return statusError(err)
	}
	s.stats.gotPayload(v, sizes)
	return nil
}

// encode makes the wire octets of a response message. The caller owns them.
func (s *serverCall) encode(m any) (*buffer.Buffer, codec.Sizes, error) {
	s.mu.Lock()
	deflater, name := s.deflater, s.encoding
	s.mu.Unlock()
	if p, ok := m.(*PreparedMsg); ok {
		return p.take(s.codec, name, s.sc.srv.opts.maxSend)
	}
	wire, sizes, err := codec.Encode(s.codec, deflater, m, s.sc.srv.opts.maxSend)
	return wire, sizes, statusError(err)
}
