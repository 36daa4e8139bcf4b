package callboard

import (
	"errors"
	"io"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/stream"
)

// RecvMsg receives a message. io.EOF is the successful end; any other error is
// the RPC's status.
func (s *clientStream) RecvMsg(m any) error {
	if _, over, err := s.ended(); over {
		return err
	}
	t, msg, err := s.receive()
	s.seeHeader(t)
	if err != nil {
		s.finish(nil)
		_, _, err = s.ended()
		return err
	}
	sizes, err := s.cc.decode(s.ctx, &s.info, t.call, msg, m)
	msg.Buf.Release()
	if err != nil {
		s.abort(err)
		return err
	}
	s.received.Store(true)
	t.stats.gotPayload(m, sizes)
	if s.desc.ServerStreams {
		return nil
	}
	return s.expectEnd()
}

// expectEnd: where the server sends one message, the end belongs to it.
func (s *clientStream) expectEnd() error {
	extra, err := s.current().call.Recv(s.ctx.Done())
	switch {
	case err == nil:
		extra.Buf.Release()
		err := cardinality(2)
		s.abort(err)
		return err
	case errors.Is(err, stream.ErrDone):
		s.canceled()
	}
	s.finish(nil)
	if _, _, err := s.ended(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// receive takes the next message of the attempt in force. Whatever arrives
// commits the RPC to it.
func (s *clientStream) receive() (*try, stream.Message, error) {
	for {
		t := s.chosen()
		msg, err := t.call.Recv(s.ctx.Done())
		if errors.Is(err, stream.ErrDone) {
			s.canceled()
			return t, msg, io.EOF
		}
		if err != nil && s.again(t) {
			continue
		}
		return t, msg, err
	}
}

// seeHeader notes that a server has answered.
func (s *clientStream) seeHeader(t *try) {
	if s.headSeen.CompareAndSwap(false, true) {
		s.relay.mu.Lock()
		s.relay.commit(t)
		s.relay.mu.Unlock()
		t.stats.gotHeader(t.call)
	}
}

// abort ends the RPC for a reason of our own. Committed first: no attempt may
// take over from the one that is cancelled here.
func (s *clientStream) abort(err error) {
	if s.race == nil || !s.race.quit(err) {
		s.relay.close()
		st := status.Convert(err)
		s.current().call.Cancel(st.Code(), st.Message())
	}
	s.finish(err)
}

// verdict is how an RPC ended whose attempt is over; io.EOF for OK.
func (s *clientStream) verdict(t *try) error {
	switch err := t.outcome(s.cc); {
	case err != nil:
		return err
	case !s.desc.ServerStreams && !s.received.Load():
		return cardinality(0)
	}
	return io.EOF
}

// finish records the end, once, and lets go of the call's actor. err is io.EOF
// for OK, and nil where the attempt's outcome decides.
func (s *clientStream) finish(err error) {
	s.finishing.Do(func() {
		s.unwatch()
		s.relay.close()
		t := s.current()
		defer s.cancel() // also when user code below panics
		if err == nil {
			err = s.verdict(t) // by nobody before: who is second may find it let go
		}
		md := t.header()
		s.final.mu.Lock()
		s.final.over, s.final.err, s.final.header, s.final.trailer = true, err, md, t.call.Trailer()
		s.final.mu.Unlock()
		if t.err == nil {
			s.info.report(func() metadata.MD { return md }, func() metadata.MD { return s.final.trailer }, t.peer)
		}
		t.end(err)
		result := err
		if errors.Is(err, io.EOF) {
			result = nil
			s.throttle.Succeeded()
		}
		s.info.finished(result)
	})
}

func (s *clientStream) unwatch() {
	s.relay.mu.Lock()
	stop := s.stopAfter
	s.relay.mu.Unlock()
	if stop != nil {
		stop()
	}
}
