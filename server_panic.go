package callboard

import (
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// contain is deferred around one RPC's user code. A panic, and a handler that
// ended its goroutine, are INTERNAL on that RPC.
func (s *serverCall) contain() {
	v := recover()
	switch {
	case v != nil:
		s.sc.srv.panicked("handler", s.in.Method, v)
		s.conclude(status.New(codes.Internal, "panic in the handler of "+readable(s.in.Method)))
	case !s.finished:
		s.conclude(status.New(codes.Internal, "the handler of "+readable(s.in.Method)+" ended its goroutine"))
	}
}

// contain is deferred around user code that has no RPC to fail.
func (s *Server) contain(what, method string) {
	if v := recover(); v != nil {
		s.panicked(what, method, v)
	}
}

// panicked counts and logs a recovered panic, or goes on with it: the stack it
// came from is still below us.
func (s *Server) panicked(what, method string, v any) {
	s.panics.Add(1)
	if s.opts.crashOnPanic {
		panic(v)
	}
	s.sys.log.Error("callboard: panic in a "+what, "server", s.opts.name, "method", method,
		"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
}
