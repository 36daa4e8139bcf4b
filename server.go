package callboard

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/callboard-rpc/callboard/actors"
	"github.com/callboard-rpc/callboard/codec"
	"github.com/callboard-rpc/callboard/internal/worker"
)

// Server serves RPCs. It is a grpc.ServiceRegistrar, so generated code
// registers services on it as it is. It is safe for concurrent use.
type Server struct {
	sys      *System
	opts     serverOptions
	registry registry
	unary    grpc.UnaryServerInterceptor  // the whole chain, or nil
	stream   grpc.StreamServerInterceptor // the whole chain, or nil
	codecs   serverCodecs
	accept   string // compressors we read, as told to a client whose is not among them
	workers  *worker.Pool[job]

	running  atomic.Int64 // RPCs from their queueing to their end
	stopping atomic.Bool  // somebody waits for running to be 0
	served   atomic.Uint64
	panics   atomic.Uint64

	mu      sync.Mutex
	serving bool
	stopped bool
	self    actors.Ref[any] // the actor, from the first Serve on
}

var _ grpc.ServiceRegistrar = (*Server)(nil)

// NewServer makes a server in the process's default system; see
// System.NewServer.
func NewServer(opts ...ServerOption) *Server { return DefaultSystem().NewServer(opts...) }

// NewServer makes a server. Nothing runs before Serve.
func (s *System) NewServer(opts ...ServerOption) *Server {
	o := defaultServerOptions()
	o.supervise = s.supervise
	for _, opt := range opts {
		opt.applyServer(&o)
	}
	srv := &Server{sys: s, opts: o, registry: newRegistry()}
	srv.workers = worker.New(o.workers, job.run)
	srv.codecs.forced = o.codec
	srv.chain()
	return srv
}

// Serve accepts connections on lis until the server is stopped, and then
// returns nil. It may be called for several listeners. It closes lis.
//
// Errors: the listener's, if it ends by itself; ErrServerStopped after Stop or
// GracefulStop.
func (s *Server) Serve(lis net.Listener) error {
	self, err := s.begin()
	if err != nil {
		_ = lis.Close()
		return err
	}
	m := &listen{lis: lis, ended: make(chan error, 1)}
	self.Tell(m)
	select {
	case err := <-m.ended:
		return err
	case <-self.Probe().Done():
		_ = lis.Close()
		return nil
	}
}

// ErrServerStopped says that a server was stopped before it was asked to serve.
var ErrServerStopped = grpc.ErrServerStopped

// begin starts the server's actor when it serves for the first time.
func (s *Server) begin() (actors.Ref[any], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return actors.Ref[any]{}, ErrServerStopped
	}
	if s.serving {
		return s.self, nil
	}
	if err := s.sys.enter(s); err != nil {
		return actors.Ref[any]{}, err
	}
	s.accept = codec.Compressors()
	sp := &actors.Spec{Kind: "server", Mode: actors.Goroutine, Supervisor: restartChildren}
	ref, err := s.sys.spawn("server/"+s.opts.name, sp, &serverActor{srv: s, supervise: s.opts.supervise})
	if err != nil {
		s.sys.leave(s)
		return actors.Ref[any]{}, fmt.Errorf("callboard: server %s: %w", s.opts.name, err)
	}
	s.serving, s.self = true, ref
	return ref, nil
}

func (s *Server) label() string { return "server " + s.opts.name }

// ended counts an RPC as over and tells the actor if that is what it waits
// for.
func (s *Server) ended() {
	s.served.Add(1)
	if s.running.Add(-1) == 0 && s.stopping.Load() {
		s.self.Tell(&handlersDone{})
	}
}
