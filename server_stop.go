package callboard

import (
	"context"
	"fmt"

	"github.com/callboard-rpc/callboard/actors"
)

// Stop closes listeners and connections at once. RPCs in flight end with
// UNAVAILABLE at their clients, and their handlers' contexts are cancelled;
// Stop waits for the handlers only with WaitForHandlers.
func (s *Server) Stop() { s.cut(s.opts.waitHandlers) }

// cut ends the server now. Without wait it waits for the connections alone.
func (s *Server) cut(wait bool) {
	self, ok := s.end()
	if !ok {
		return
	}
	m := &stopServer{now: true, closed: make(chan struct{})}
	self.Tell(m)
	gone := self.Probe().Done()
	select {
	case <-m.closed:
	case <-gone:
	}
	if wait || s.running.Load() == 0 {
		<-gone
	}
}

// GracefulStop stops accepting connections and RPCs, and returns when the RPCs
// in flight have ended and their handlers have returned.
func (s *Server) GracefulStop() { _ = s.drain(context.Background()) }

// Shutdown is GracefulStop for as long as ctx lasts, and Stop then, though
// without waiting for handlers: ctx is over. The error says how much was cut off;
// it wraps ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.drain(ctx)
	if err == nil {
		return nil
	}
	left := s.running.Load()
	s.cut(false)
	return fmt.Errorf("callboard: server %s: %d RPCs were cut off: %w", s.opts.name, left, err)
}

func (s *Server) shutdown(ctx context.Context) error { return s.Shutdown(ctx) }

func (s *Server) drain(ctx context.Context) error {
	self, ok := s.end()
	if !ok {
		return nil
	}
	self.Tell(&stopServer{closed: make(chan struct{})})
	select {
	case <-self.Probe().Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end marks the server as stopped. It says false when there is nothing to wait
// for, because it has never served.
func (s *Server) end() (actors.Ref[any], bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.self, s.serving
}

// leave is the end of the server's actor. Handlers that still run finish
// against nobody.
func (s *Server) leave() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.workers.Close()
	s.sys.leave(s)
}
