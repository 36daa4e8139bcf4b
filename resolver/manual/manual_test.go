package manual_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"github.com/callboard-rpc/callboard/resolver"
	"github.com/callboard-rpc/callboard/resolver/manual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ear is a channel that keeps what it hears.
type ear struct {
	addrs   [][]string
	configs []*serviceconfig.ParseResult
	errs    []error
}

func (e *ear) UpdateState(st grpcresolver.State) error {
	var addrs []string
	for _, ep := range st.Endpoints {
		addrs = append(addrs, ep.Addresses[0].Addr)
	}
	e.addrs, e.configs = append(e.addrs, addrs), append(e.configs, st.ServiceConfig)
	return nil
}
func (e *ear) ReportError(err error)           { e.errs = append(e.errs, err) }
func (*ear) NewAddress([]grpcresolver.Address) {}
func (*ear) ParseServiceConfig(js string) *serviceconfig.ParseResult {
	return &serviceconfig.ParseResult{Err: errors.New(js)}
}

func build(t *testing.T, r *manual.Resolver) (*ear, grpcresolver.Resolver) {
	t.Helper()
	e := &ear{}
	b, err := r.Build(grpcresolver.Target{}, e, grpcresolver.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e, b
}

func TestChannelsHearWhatIsSaid(t *testing.T) {
	r := manual.New("fleet")
	early, first := build(t, r)
	r.Addresses("a", "b")
	late, second := build(t, r)
	r.Addresses()
	first.Close()
	r.Update(grpcresolver.Endpoint{Addresses: []grpcresolver.Address{{Addr: "c"}}})
	if diff := cmp.Diff([][]string{{"a", "b"}, nil}, early.addrs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"a", "b"}, nil, {"c"}}, late.addrs); diff != "" {
		t.Error(diff)
	}
	second.Close()
	if e, _ := build(t, manual.New("fleet", "x")); len(e.addrs) != 1 || e.addrs[0][0] != "x" {
		t.Error(e.addrs)
	}
	if r.Scheme() != "fleet" {
		t.Error(r.Scheme())
	}
}

// A failure is the last word until something else is said, for channels that
// come later, too.
func TestFailures(t *testing.T) {
	why := errors.New("no list")
	r := manual.New("fleet", "a")
	r.Fail(why)
	e, _ := build(t, r)
	if len(e.addrs) != 1 || len(e.errs) != 1 || !errors.Is(e.errs[0], why) {
		t.Error(e.addrs, e.errs)
	}
	r.Addresses("b")
	if e, _ := build(t, r); len(e.addrs) != 1 || len(e.errs) != 0 {
		t.Error(e.addrs, e.errs)
	}
}

// The service config is there until another answer is set.
func TestServiceConfig(t *testing.T) {
	r := manual.New("fleet", "a")
	e, _ := build(t, r)
	r.Set(resolver.Answer{ServiceConfig: "{}"})
	r.Addresses("b")
	r.Set(resolver.Answer{ConfigErr: errors.New("gone")})
	r.Set(resolver.Answer{})
	var got []bool
	for _, c := range e.configs {
		got = append(got, c != nil)
	}
	if diff := cmp.Diff([]bool{false, true, true, true, false}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAsked(t *testing.T) {
	r := manual.New("fleet", "a")
	_, b := build(t, r)
	for range 10 {
		b.ResolveNow(grpcresolver.ResolveNowOptions{})
	}
	<-r.Asked()
	select {
	case <-r.Asked():
		t.Error("asked twice")
	default:
	}
}

// grpc-go's channels take it as well, several at once.
func TestGRPCGo(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	defer func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	r := manual.New("fleet")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var ccs []*grpc.ClientConn
	for range 2 {
		cc, err := grpc.NewClient("fleet:///x", grpc.WithResolvers(r), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		cc.Connect()
		ccs = append(ccs, cc)
	}
	r.Addresses(lis.Addr().String())
	for _, cc := range ccs {
		if _, err := grpc_health_v1.NewHealthClient(cc).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Error(err)
		}
	}
}
