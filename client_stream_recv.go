package callboard

import (
	"errors"
	"io"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/stream"
)

// RecvMsg receives a message. io.EOF is the successful end; any other error is
// the RPC's status.
func (s *clientStream) RecvMsg(m any) error {
	if _, over, err := s.ended(); over {
		return err
	}
	c, msg, err := s.receive()
	s.seeHeader(c)
	if err != nil {
		s.finishWithOutcome()
		_, _, err = s.ended()
		return err
	}
	sizes, err := s.cc.decode(s.ctx, &s.info, c, msg, m)
	msg.Buf.Release()
	if err != nil {
		s.abort(err)
		return err
	}
	s.received.Store(true)
	s.stats.gotPayload(m, sizes)
	if s.desc.ServerStreams {
		return nil
	}
	return s.expectEnd()
}

// expectEnd: where the server sends one message, the end belongs to it.
func (s *clientStream) expectEnd() error {
	extra, err := s.current().Recv(s.ctx.Done())
	switch {
	case err == nil:
		extra.Buf.Release()
		err := cardinality(2)
		s.abort(err)
		return err
	case errors.Is(err, stream.ErrDone):
		s.canceled()
	}
	s.finishWithOutcome()
	if _, _, err := s.ended(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// receive takes the next message of the call in force. Whatever arrives
// commits the RPC to it.
func (s *clientStream) receive() (*stream.Call, stream.Message, error) {
	for {
		c := s.current()
		msg, err := c.Recv(s.ctx.Done())
		if errors.Is(err, stream.ErrDone) {
			s.canceled()
			return c, msg, io.EOF
		}
		if err != nil && s.again(c) {
			continue
		}
		return c, msg, err
	}
}

// seeHeader notes that a server has answered.
func (s *clientStream) seeHeader(c *stream.Call) {
	if s.headSeen.CompareAndSwap(false, true) {
		s.replay.commit()
		s.stats.gotHeader(c)
	}
}

// abort ends the RPC for a reason of our own. Committed first: no call may take
// over from the one that is cancelled here.
func (s *clientStream) abort(err error) {
	s.replay.commit()
	st := status.Convert(err)
	s.current().Cancel(st.Code(), st.Message())
	s.finish(err)
}

func (s *clientStream) finishWithOutcome() {
	err := io.EOF
	if st := s.current().Status(); st != nil {
		err = st.Err()
	} else if !s.desc.ServerStreams && !s.received.Load() {
		err = cardinality(0)
	}
	s.finish(err)
}

// finish records the end, once, and lets go of the call's actor. err is io.EOF
// for OK.
func (s *clientStream) finish(err error) {
	s.finishing.Do(func() {
		s.stopAfter()
		s.replay.commit()
		c := s.current()
		defer s.cancel() // also when user code below panics
		defer c.Release()
		_, md, _ := c.Header()
		s.final.mu.Lock()
		s.final.over, s.final.err, s.final.header, s.final.trailer = true, err, md, c.Trailer()
		s.final.mu.Unlock()
		s.info.report(func() metadata.MD { return md }, func() metadata.MD { return s.final.trailer },
			func() *peer.Peer { return peerOf(s.ref.Info()) })
		s.stats.gotTrailer(c)
		result := err
		if errors.Is(err, io.EOF) {
			result = nil
		}
		s.stats.end(result)
		s.info.finished(result)
	})
}
