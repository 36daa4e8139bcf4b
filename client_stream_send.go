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
	msg := sent{wire: wire, sizes: sizes}
	if len(s.cc.opts.stats) > 0 {
		msg.message = m
	}
	t, kept := s.hand(msg, end)
	switch {
	case kept:
		return nil
	case t == nil:
		wire.Release()
		s.canceled()
		return s.sendEnded()
	}
	err := t.call.Send(wire, end, s.ctx.Done())
	if errors.Is(err, stream.ErrDone) {
		wire.Release()
		s.canceled()
		return s.sendEnded()
	}
	if err != nil && !s.again(t) {
		return s.sendEnded()
	}
	if err == nil {
		t.stats.sentPayload(m, sizes)
	}
	return nil
}

// hand gives a message to the relay, and says what becomes of it: it is to be
// sent to t, in one step with being kept, or an attempt that took over in between
// would get it twice; or it is kept, and will be sent. Neither is the case when
// the RPC's context has ended.
func (s *clientStream) hand(m sent, end bool) (t *try, kept bool) {
	r := &s.relay
	r.mu.Lock()
	for {
		switch {
		case r.direct:
			r.half = r.half || end
			if m.wire != nil && !r.committed {
				if r.keep(m) {
					m.wire.Retain()
				} else {
					r.commit(r.try)
				}
			}
			t = r.try
			r.mu.Unlock()
			return t, false
		case m.wire == nil, !s.mustWait() && r.keep(m):
			r.half = r.half || end
			r.announce()
			r.mu.Unlock()
			return nil, true
		}
		var o orders
		if s.race != nil && !s.mustWait() {
			o = s.race.full()
		}
		// Whoever pushes gets on, or to the end of what is kept, and this is next.
		change, direct := r.wait(), r.direct
		r.mu.Unlock()
		s.race.perform(o)
		if !direct {
			select {
			case <-change:
			case <-s.ctx.Done():
				return nil, false
			}
		}
		r.mu.Lock()
	}
}

// mustWait says whether a message cannot even be kept now. The relay's lock is
// held.
func (s *clientStream) mustWait() bool {
	r := &s.relay
	return r.committed || s.race != nil && r.backlog(s.race.live) >= backlogLimit
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
	if t, kept := s.hand(sent{}, true); !kept && t != nil {
		t.call.CloseSend()
	}
	return nil
}

func (s *clientStream) misuse(what string) error {
	err := status.Error(codes.Internal, what)
	s.abort(err)
	return err
}
