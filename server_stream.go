package callboard

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/stream"
)

// serverStream is a serverCall as a streaming handler sees it. One goroutine
// may send while another receives.
type serverStream serverCall

var _ grpc.ServerStream = (*serverStream)(nil)

// serveStream runs a streaming handler.
func (s *serverCall) serveStream() {
	s.call.Keep = true // handlers leave goroutines behind that send and receive
	ss := (*serverStream)(s)
	var err error
	if i := s.sc.srv.stream; i != nil {
		err = i(s.m.impl, ss, s.m.info, s.m.stream.Handler)
	} else {
		err = s.m.stream.Handler(s.m.impl, ss)
	}
	s.conclude(handlerStatus(err))
}

// Context implements grpc.ServerStream.
func (ss *serverStream) Context() context.Context { return ss.ctx }

// SetHeader implements grpc.ServerStream.
func (ss *serverStream) SetHeader(md metadata.MD) error { return (*serverCall)(ss).SetHeader(md) }

// SendHeader implements grpc.ServerStream.
func (ss *serverStream) SendHeader(md metadata.MD) error { return (*serverCall)(ss).SendHeader(md) }

// SetTrailer implements grpc.ServerStream. Metadata that cannot be sent is
// logged and left out.
func (ss *serverStream) SetTrailer(md metadata.MD) {
	if err := (*serverCall)(ss).SetTrailer(md); err != nil {
		ss.sc.srv.sys.log.Warn("callboard: SetTrailer", "method", ss.in.Method, "error", err)
	}
}

// SendMsg implements grpc.ServerStream. It waits while too much is queued. The
// error is a status: of a message that cannot be encoded, or of an RPC that has
// ended.
func (ss *serverStream) SendMsg(m any) error {
	s := (*serverCall)(ss)
	wire, sizes, err := s.encode(m)
	if err != nil {
		return s.judge(err)
	}
	if err := s.announce(); err != nil {
		wire.Release()
		return err
	}
	s.stats.sentHeader(s)
	switch err := s.call.Send(wire, false, s.Done()); {
	case err == nil:
		s.stats.sentPayload(s, m, sizes)
		return nil
	case errors.Is(err, stream.ErrDone):
		wire.Release()
	}
	return s.endStatus().Err()
}

// announce sends the header block before the first message. A block without
// content of its own is left to the stream's machine, which sends it with the
// message.
func (s *serverCall) announce() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.finished:
		return errCallOver
	case s.headed:
	case len(s.header) == 0 && s.encoding == "":
		s.headed = true
	default:
		s.sendHead()
	}
	return nil
}

// RecvMsg implements grpc.ServerStream. io.EOF says that the client has sent
// all; any other error is a status: of a message that cannot be decoded, or of
// an RPC that has ended.
func (ss *serverStream) RecvMsg(m any) error {
	s := (*serverCall)(ss)
	msg, err := s.call.Recv(s.Done())
	if err != nil {
		return s.noMessage(err)
	}
	if err := s.unmarshal(msg, m); err != nil {
		return s.judge(err)
	}
	s.received = true
	if s.m.clientStreams() || s.call.Ended() {
		return nil
	}
	// Where the client sends one message, its end belongs to it.
	extra, err := s.call.Recv(s.Done())
	if err == nil {
		extra.Buf.Release()
		return s.judge(requestCardinality(2).Err())
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return s.noMessage(err)
}

// noMessage is what RecvMsg returns for err of Recv.
func (s *serverCall) noMessage(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		if !s.received && !s.m.clientStreams() {
			return s.judge(requestCardinality(0).Err())
		}
		return io.EOF
	case errors.Is(err, stream.ErrDone):
		return s.endStatus().Err()
	default:
		return s.judge(earlyEnd(err).Err())
	}
}

// judge makes err the RPC's status, whatever the handler says later: the
// client must not take for success what was not read or sent.
func (s *serverCall) judge(err error) error {
	s.mu.Lock()
	if s.verdict == nil {
		s.verdict = status.Convert(err)
	}
	s.mu.Unlock()
	return err
}

// prepare implements preparer.
func (ss *serverStream) prepare(m any) (prepared, error) { return (*serverCall)(ss).prepare(m) }

// prepare encodes with the compressor that answers the request's, as grpc-go
// does. Where the handler has set another, the message stays plain, which is
// right on any stream.
func (s *serverCall) prepare(m any) (prepared, error) {
	s.mu.Lock()
	deflater, name := s.deflater, s.encoding
	if s.chosen {
		deflater, name = nil, ""
	}
	s.mu.Unlock()
	wire, sizes, err := codec.Encode(s.codec, deflater, m, s.sc.srv.opts.maxSend)
	return prepared{wire: wire, sizes: sizes, codec: s.codec.Name(), encoding: name}, statusError(err)
}
