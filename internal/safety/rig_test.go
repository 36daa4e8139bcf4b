package safety_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/inspect"
	"github.com/callboard-rpc/callboard/internal/testpeer"
)

const (
	// soon bounds what happens at once, on a machine that has other things to
	// do.
	soon = 5 * time.Second
	// awhile is how long a test watches for what must not happen.
	awhile = 150 * time.Millisecond
)

// roomy gives streams so much room that the connection's window, or a budget, is
// what they meet first.
var roomy = callboard.InitialWindowSize(4 << 20)

// server is a callboard server in a system of its own.
type server struct {
	*probe
	t    testing.TB
	sys  *callboard.System
	srv  *callboard.Server
	addr string
}

func system(t testing.TB, opts ...callboard.SystemOption) *callboard.System {
	t.Helper()
	sys, err := callboard.NewSystem(append([]callboard.SystemOption{callboard.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*soon)
		defer cancel()
		if err := sys.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v\n%v", err, sys.Inspect())
		}
		if n := sys.Inspect().Actors; n > 0 {
			t.Errorf("%d actors are left\n%v", n, sys.Inspect())
		}
	})
	return sys
}

// serve starts a server. When the test ends and its peers are gone, nothing of
// their connections may be left.
func serve(t testing.TB, opts ...callboard.ServerOption) *server {
	t.Helper()
	return serveIn(t, system(t), opts...)
}

func serveIn(t testing.TB, sys *callboard.System, opts ...callboard.ServerOption) *server {
	t.Helper()
	s := &server{probe: newProbe(), t: t, sys: sys}
	s.srv = s.sys.NewServer(opts...)
	s.srv.RegisterService(s.desc(), nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = lis.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- s.srv.Serve(lis) }()
	t.Cleanup(func() {
		s.release()
		s.quiet()
		s.srv.Stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	// Cleanups run last to first: peers dialled from here on close before.
	return s
}

// quiet waits until no connection and no handler is left. Peers close their
// sockets in cleanups of their own.
func (s *server) quiet() {
	s.t.Helper()
	if !eventually(func() bool { return count(s.sys, "conn") == 0 && s.running.Load() == 0 }) {
		s.t.Errorf("%d handlers run, and actors are left:\n%v", s.running.Load(), s.sys.Inspect())
	}
}

// settled waits until the server has n streams that are not closed.
func (s *server) settled(n int) {
	s.t.Helper()
	if !eventually(func() bool { return s.running.Load() == int64(n) }) {
		s.t.Fatalf("%d handlers run, want %d", s.running.Load(), n)
	}
}

// count counts a system's actors of one kind.
func count(sys *callboard.System, kind string) (n int) {
	sys.Inspect().Walk(func(_ int, a *inspect.Node) bool {
		if a.Kind == kind {
			n++
		}
		return true
	})
	return n
}

// eventually polls until ok is true or a generous time is over.
func eventually(ok func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * soon)
	for {
		if ok() {
			return true
		}
		select {
		case <-tick.C:
		case <-limit:
			return false
		}
	}
}

// held is what the heap holds after collections.
func held() int64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// over waits for a while and says whether the other side has closed the
// connection by then.
func over(p *testpeer.Peer, d time.Duration) bool {
	limit := time.After(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if strings.Contains(p.Transcript(), "<- closed") {
			return true
		}
		select {
		case <-tick.C:
		case <-limit:
			return false
		}
	}
}

// refused waits for the answer to a request and says whether it is
// RST_STREAM(REFUSED_STREAM).
func refused(p *testpeer.Peer, id uint32) (was bool) {
	taken, reset := fmt.Sprintf("<- HEADERS stream=%d ", id), fmt.Sprintf("<- RST_STREAM stream=%d REFUSED_STREAM", id)
	eventually(func() bool {
		text := p.Transcript()
		was = strings.Contains(text, reset)
		return was || strings.Contains(text, taken)
	})
	return was
}
