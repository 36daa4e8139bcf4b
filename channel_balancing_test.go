package callboard_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	orcadata "github.com/cncf/xds/go/xds/data/orca/v3"
	orca "github.com/cncf/xds/go/xds/service/orca/v3"
	"google.golang.org/grpc"
	grpcbalancer "google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/pickfirst"
	_ "google.golang.org/grpc/balancer/ringhash"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	grpcorca "google.golang.org/grpc/orca"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// backends are servers that count their calls.
type backends struct {
	addrs []string
	calls []atomic.Int64
}

func newBackends(t *testing.T, n int, server func(i int) *grpc.Server, do func(i int, ctx context.Context)) *backends {
	t.Helper()
	b := &backends{calls: make([]atomic.Int64, n)}
	for i := range n {
		srv := grpc.NewServer()
		if server != nil {
			srv = server(i)
		}
		b.addrs = append(b.addrs, playbook{unary: func(ctx context.Context, in *text) (*text, error) {
			b.calls[i].Add(1)
			if do != nil {
				do(i, ctx)
			}
			return in, nil
		}}.start(t, srv))
	}
	return b
}

func (b *backends) state() (st grpcresolver.State) {
	for _, a := range b.addrs {
		st.Addresses = append(st.Addresses, grpcresolver.Address{Addr: a})
	}
	return st
}

func (b *backends) served() (n []int64) {
	for i := range b.calls {
		n = append(n, b.calls[i].Swap(0))
	}
	return n
}

// balanced is a client of them with a policy.
func (b *backends) balanced(t *testing.T, lb string, opts ...callboard.DialOption) *callboard.ClientConn {
	t.Helper()
	r := manual.NewBuilderWithScheme("backends")
	r.InitialState(b.state())
	return ours(t, "backends:///all", append(opts, callboard.WithResolvers(r),
		callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[`+lb+`]}`))...)
}

func (b *backends) call(t *testing.T, cc grpc.ClientConnInterface, n int) []int64 {
	t.Helper()
	for range n {
		if err := sent(cc, soon(t), grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
	}
	return b.served()
}

// until repeats f until it is content.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for ctx := soon(t); !f(); {
		if ctx.Err() != nil {
			t.Fatalf("%s: it does not come to that", what)
		}
	}
}

func all(n []int64) bool {
	for _, c := range n {
		if c == 0 {
			return false
		}
	}
	return true
}

// Policies of grpc-go run as they are.
func TestHostedPolicies(t *testing.T) {
	spreads := func(t *testing.T, b *backends, cc *callboard.ClientConn) {
		until(t, "all are used", func() bool { return all(b.call(t, cc, 30)) })
	}
	sticks := func(t *testing.T, b *backends, cc *callboard.ClientConn) {
		n := b.call(t, cc, 30)
		if n[0]+n[1]+n[2] != 30 || n[0] != 30 && n[1] != 30 && n[2] != 30 {
			t.Errorf("calls %v, want all on one backend", n)
		}
	}
	for name, tt := range map[string]struct {
		b      grpcbalancer.Builder
		config string
		then   func(*testing.T, *backends, *callboard.ClientConn)
	}{
		"pick_first":    {grpcbalancer.Get(pickfirst.Name), `{"pick_first":{}}`, sticks},
		"round_robin":   {grpcbalancer.Get(roundrobin.Name), `{"round_robin":{}}`, spreads},
		"least_request": {grpcbalancer.Get(leastrequest.Name), `{"least_request_experimental":{"choiceCount":2}}`, spreads},
		"ring_hash": {
			grpcbalancer.Get("ring_hash_experimental"),
			`{"ring_hash_experimental":{"minRingSize":64,"requestHashHeader":"key"}}`, spreads,
		},
		"weighted_round_robin": {grpcbalancer.Get(weightedroundrobin.Name), `{"weighted_round_robin":{}}`, spreads},
	} {
		t.Run(name, func(t *testing.T) {
			built := &builtOnce{Builder: tt.b}
			b := newBackends(t, 3, nil, nil)
			cc := b.balanced(t, tt.config, callboard.WithBalancers(built.with()))
			tt.then(t, b, cc)
			if built.n.Load() != 1 {
				t.Errorf("grpc-go's policy was built %d times", built.n.Load())
			}
			if got := cc.GetState(); got != connectivity.Ready {
				t.Errorf("state %v", got)
			}
		})
	}
}

// builtOnce counts what is built.
type builtOnce struct {
	grpcbalancer.Builder
	n atomic.Int32
}

func (c *builtOnce) Build(cc grpcbalancer.ClientConn, o grpcbalancer.BuildOptions) grpcbalancer.Balancer {
	c.n.Add(1)
	return c.Builder.Build(cc, o)
}

// with keeps the parser, if there is one.
func (c *builtOnce) with() grpcbalancer.Builder {
	if p, ok := c.Builder.(grpcbalancer.ConfigParser); ok {
		return struct {
			*builtOnce
			grpcbalancer.ConfigParser
		}{c, p}
	}
	return c
}

// openLoad says how loaded a backend is to whoever asks out of band.
type openLoad struct {
	orca.UnimplementedOpenRcaServiceServer
	report *orcadata.OrcaLoadReport
}

func (o openLoad) StreamCoreMetrics(_ *orca.OrcaLoadReportRequest, ss orca.OpenRcaService_StreamCoreMetricsServer) error {
	for ss.Context().Err() == nil {
		if err := ss.Send(o.report); err != nil {
			return err
		}
		select {
		case <-ss.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Load reports reach weighted_round_robin, with every RPC and out of band, ours
// and grpc-go's.
func TestLoadReports(t *testing.T) {
	theirs := callboard.WithBalancers(grpcbalancer.Get(weightedroundrobin.Name))
	const common = `"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s","errorUtilizationPenalty":0`
	for name, tt := range map[string]struct {
		oob  bool
		opts []callboard.DialOption
	}{
		"ours, per call":       {false, nil},
		"ours, out of band":    {true, nil},
		"hosted, per call":     {false, []callboard.DialOption{theirs}},
		"hosted, out of band":  {true, []callboard.DialOption{theirs}},
		"hosted, registered":   {true, []callboard.DialOption{theirs, callboard.WithIdleTimeout(0)}},
		"ours, with idle time": {true, []callboard.DialOption{callboard.WithIdleTimeout(time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			// The first is nine times as loaded as the second.
			loads := []float64{0.9, 0.1}
			b := newBackends(t, 2, func(i int) *grpc.Server {
				srv := grpc.NewServer(grpcorca.CallMetricsServerOption(nil))
				if tt.oob {
					orca.RegisterOpenRcaServiceServer(srv, openLoad{report: &orcadata.OrcaLoadReport{
						ApplicationUtilization: loads[i], RpsFractional: 100,
					}})
				}
				return srv
			}, func(i int, ctx context.Context) {
				if m := grpcorca.CallMetricsRecorderFromContext(ctx); m != nil && !tt.oob {
					m.SetApplicationUtilization(loads[i])
					m.SetQPS(100)
				}
			})
			js := fmt.Sprintf(`{"weighted_round_robin":{%s,"enableOobLoadReport":%v,"oobReportingPeriod":"0.05s"}}`, common, tt.oob)
			cc := b.balanced(t, js, tt.opts...)
			until(t, "the weights count", func() bool {
				n := b.call(t, cc, 100)
				return n[1] > 5*n[0] && n[0] > 0
			})
		})
	}
}

// Where MAX_CONCURRENT_STREAMS is reached, further connections are opened, and no
// more than allowed. RPCs that wait move to them.
func TestConnectionScaling(t *testing.T) {
	const limit, most = 5, 3
	conns := &countingListener{}
	srv := grpc.NewServer(grpc.MaxConcurrentStreams(limit))
	srv.RegisterService(playbook{stream: echoStream}.desc(), nil)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns.Listener = lis
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(conns) }()
	defer func() {
		srv.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	cc := ours(t, lis.Addr().String(), callboard.WithMaxConnectionsPerSubchannel(most))
	var open []grpc.ClientStream
	for i := range limit * most {
		st, err := cc.NewStream(soon(t), bidiDesc, bidiPath)
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		open = append(open, st)
	}
	if n := conns.n.Load(); n != most {
		t.Errorf("%d connections, want %d", n, most)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := cc.NewStream(ctx, bidiDesc, bidiPath); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("one stream too many: %v", err)
	}
	for _, st := range open {
		if err := st.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := st.RecvMsg(new(text)); err == nil {
			t.Error("a message out of nowhere")
		}
	}
	if n := conns.n.Load(); n != most {
		t.Errorf("%d connections, want %d", n, most)
	}
}

type countingListener struct {
	net.Listener
	n atomic.Int32
}

func (c *countingListener) Accept() (net.Conn, error) {
	nc, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return nc, err
}

// Backends come and go under load, and no call that waits for ready fails.
func TestBackendsComeAndGo(t *testing.T) {
	b := newBackends(t, 4, nil, nil)
	r := manual.NewBuilderWithScheme("backends")
	r.InitialState(b.state())
	cc := ours(t, "backends:///all", callboard.WithResolvers(r), callboard.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	done, failed := make(chan struct{}), make(chan error, 8)
	for range cap(failed) {
		go func() {
			for {
				select {
				case <-done:
					failed <- nil
					return
				default:
				}
				if err := sent(cc, soon(t), grpc.WaitForReady(true)); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for i := range 100 {
		st := b.state()
		st.Addresses = append(st.Addresses[i%4:], st.Addresses[:i%4]...)[:1+i%3]
		r.UpdateState(st)
		until(t, strconv.Itoa(i), func() bool { return b.calls[i%4].Swap(0) > 0 })
	}
	close(done)
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
