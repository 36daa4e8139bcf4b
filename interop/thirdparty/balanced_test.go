package thirdparty_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// backend is a server that counts its RPCs.
type backend struct {
	pingService
	addr  string
	stop  func()
	calls atomic.Int64
}

func (b *backend) Ping(ctx context.Context, in *testpb.PingRequest) (*testpb.PingResponse, error) {
	b.calls.Add(1)
	return b.pingService.Ping(ctx, in)
}

func (b *backend) PingStream(st testpb.TestService_PingStreamServer) error {
	b.calls.Add(1)
	return b.pingService.PingStream(st)
}

// start runs the backend on a server. more registers what it has besides.
func (b *backend) start(t *testing.T, st stack, s serverSide, more func(server)) *backend {
	t.Helper()
	srv := st.server(s)
	testpb.RegisterTestServiceServer(srv, b)
	if more != nil {
		more(srv)
	}
	b.addr, b.stop = serve(t, srv)
	return b
}

func starting(t *testing.T, st stack, n int) (all []*backend) {
	t.Helper()
	for range n {
		all = append(all, new(backend).start(t, st, serverSide{}, nil))
	}
	return all
}

// served is how many RPCs each has had since it was last asked.
func served(bs []*backend) (n []int64) {
	for _, b := range bs {
		n = append(n, b.calls.Swap(0))
	}
	return n
}

func addresses(bs []*backend) (st resolver.State) {
	for _, b := range bs {
		st.Addresses = append(st.Addresses, resolver.Address{Addr: b.addr})
	}
	return st
}

// chooser is where a client's policy comes from.
type chooser struct {
	name  string
	stack stack
	host  bool // grpc-go's policy, in callboard
}

var choosers = []chooser{
	{"grpc-go's policy in callboard", ours, true},
	{"callboard's own", ours, false},
	{"grpc-go", theirs, false},
}

// eachChooser runs f with clients of callboard; with grpc-go's too, where the
// backends are callboard's.
func eachChooser(t *testing.T, backends stack, f func(t *testing.T, ch chooser)) {
	t.Helper()
	for _, ch := range choosers {
		if ch.stack.name == theirs.name && backends.name == theirs.name {
			continue
		}
		t.Run(ch.name+" to "+backends.name, func(t *testing.T) {
			t.Parallel()
			f(t, ch)
		})
	}
}

// dial is a client of backends that has a policy, and the resolver that names
// them.
func (ch chooser) dial(t *testing.T, bs []*backend, policy, config string) (testpb.TestServiceClient, *manual.Resolver) {
	t.Helper()
	r := manual.NewBuilderWithScheme("backends")
	r.InitialState(addresses(bs))
	c := clientSide{resolver: r, config: config}
	if ch.host {
		b := &builds{Builder: balancer.Get(policy)}
		c.balancers = append(c.balancers, b.keepParser())
		t.Cleanup(func() {
			if b.n.Load() == 0 {
				t.Error("grpc-go's policy was never built")
			}
		})
	}
	return testpb.NewTestServiceClient(dial(t, ch.stack, "backends:///all", c)), r
}

// builds counts how often a policy is built, and leaves it as it is.
type builds struct {
	balancer.Builder
	n atomic.Int64
}

func (b *builds) Build(cc balancer.ClientConn, o balancer.BuildOptions) balancer.Balancer {
	b.n.Add(1)
	return b.Builder.Build(cc, o)
}

func (b *builds) keepParser() balancer.Builder {
	if p, ok := b.Builder.(balancer.ConfigParser); ok {
		return struct {
			*builds
			balancer.ConfigParser
		}{b, p}
	}
	return b
}

// pings makes n RPCs from a few goroutines and gives where they went. None may
// fail.
func pings(t *testing.T, c testpb.TestServiceClient, n int, bs []*backend) []int64 {
	t.Helper()
	const callers = 4
	ctx := soon(t)
	served(bs)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := c.Ping(ctx, testpb.GoodPing, grpc.WaitForReady(true)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return served(bs)
}

// near says that no backend is off by more than slack, and that none was used
// that was not to be.
func near(got, want []int64, slack int64) bool {
	for i := range want {
		if d := got[i] - want[i]; max(d, -d) > slack || want[i] == 0 && got[i] != 0 {
			return false
		}
	}
	return true
}

func times(n []int64, by int64) []int64 {
	s := slices.Clone(n)
	for i := range s {
		s[i] *= by
	}
	return s
}
