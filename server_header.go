package callboard

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var _ grpc.ServerTransportStream = (*serverCall)(nil)

var (
	errHeaderSent = status.Error(codes.Internal, "the response's header was sent already")
	errCallOver   = status.Error(codes.Internal, "the RPC is over: its handler has returned")
)

// Method implements grpc.ServerTransportStream.
func (s *serverCall) Method() string { return s.in.Method }

// SetHeader implements grpc.ServerTransportStream.
func (s *serverCall) SetHeader(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := validateMetadata(md); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.headerOpen(); err != nil {
		return err
	}
	s.header = joined(s.header, md)
	return nil
}

// SendHeader implements grpc.ServerTransportStream. The header block goes out
// at once.
func (s *serverCall) SendHeader(md metadata.MD) error {
	if err := validateMetadata(md); err != nil {
		return err
	}
	s.mu.Lock()
	if err := s.headerOpen(); err != nil {
		s.mu.Unlock()
		return err
	}
	s.header = joined(s.header, md)
	s.sendHead()
	s.mu.Unlock()
	s.stats.sentHeader(s)
	return nil
}

// SetTrailer implements grpc.ServerTransportStream.
func (s *serverCall) SetTrailer(md metadata.MD) error {
	if len(md) == 0 {
		return nil
	}
	if err := validateMetadata(md); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return errCallOver
	}
	s.trailer = joined(s.trailer, md)
	return nil
}

// headerOpen says whether the header can still be changed; the lock is held.
func (s *serverCall) headerOpen() error {
	switch {
	case s.finished:
		return errCallOver
	case s.headed:
		return errHeaderSent
	}
	return nil
}

// sendHead puts the header block on its way; the lock is held, so that nothing
// overtakes it. The stream's actor may run on this goroutine meanwhile: it
// never asks for the lock.
func (s *serverCall) sendHead() {
	s.headed = true
	s.call.SendHeader(s.head())
}

// joined adds md to what is there. The result is the RPC's own.
func joined(to, md metadata.MD) metadata.MD {
	if to == nil {
		return md.Copy()
	}
	for k, vals := range md {
		to[k] = append(to[k], vals...)
	}
	return to
}
