package callboard_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard"
)

// wantWhy checks what every explained error keeps to, and gives its detail.
func wantWhy(t testing.TB, err error, code codes.Code, stage callboard.Stage) callboard.Why {
	t.Helper()
	why, ok := callboard.WhyOf(err)
	if !ok {
		t.Fatalf("%v (%T) has no detail", err, err)
	}
	st, isStatus := status.FromError(err)
	if !isStatus || st.Code() != code || status.Convert(err).Code() != code || len(st.Details()) != 0 {
		t.Errorf("status %v, want %v", st, code)
	}
	var w *callboard.WhyError
	if !errors.As(err, &w) || !errors.Is(err, w.GRPCStatus().Err()) {
		t.Error("it is not the error of its own status")
	}
	wrapped := fmt.Errorf("interceptor: %w", err)
	if again, ok := callboard.WhyOf(wrapped); !ok || again.Stage != why.Stage || status.Code(wrapped) != code {
		t.Errorf("wrapped it is %v, stage %v", status.Code(wrapped), again.Stage)
	}
	if why.Stage != stage || why.Path == "" || why.Target == "" {
		t.Errorf("stage %v of %q at %q, want %v: %v", why.Stage, why.Target, why.Path, stage, err)
	}
	if n := len(why.Elapsed); code == codes.DeadlineExceeded && (n == 0 || why.Elapsed[n-1].Stage != stage) {
		t.Errorf("elapsed %v does not end in the stage", why.Elapsed)
	}
	return why
}

// whyClient is a client in a system of its own, and its calls.
type whyClient struct {
	testing.TB
	cc *callboard.ClientConn
	pb.BenchmarkServiceClient
}

func newWhyClient(t testing.TB, target string, opts ...callboard.DialOption) whyClient {
	t.Helper()
	cc, err := callboard.NewClient(target, append([]callboard.DialOption{callboard.WithTransportCredentials(insecure.NewCredentials())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return whyClient{t, cc, pb.NewBenchmarkServiceClient(cc)}
}

// within calls with a deadline.
func (c whyClient) within(d time.Duration, size int, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, err := c.UnaryCall(ctx, &pb.SimpleRequest{Payload: &pb.Payload{Body: make([]byte, size)}}, opts...)
	return err
}

const soonOver = 100 * time.Millisecond // the deadline of calls that are to miss it

func TestWhyTheResolverHangs(t *testing.T) {
	c := newWhyClient(t, "hang:///nowhere", callboard.WithResolvers(manual.NewBuilderWithScheme("hang")))
	for _, opts := range [][]grpc.CallOption{nil, {grpc.WaitForReady(true)}} {
		why := wantWhy(t, c.within(soonOver, 0, opts...), codes.DeadlineExceeded, callboard.Resolving)
		if len(why.Subchannels) != 0 || why.Cause != nil || why.Target != "hang:///nowhere" {
			t.Errorf("%+v", why)
		}
		if len(why.Elapsed) != 1 || why.Elapsed[0].For < soonOver/2 {
			t.Errorf("elapsed %v", why.Elapsed)
		}
	}
}

// A channel that was idle resolves anew, and is told to do so.
func TestWhyTheResolverHangsBehindIdleness(t *testing.T) {
	r := &onceResolver{}
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		cc, err := s.sys.NewClient("once:///x", append(s.dialling(), callboard.WithResolvers(r), callboard.WithIdleTimeout(time.Minute))...)
		if err != nil {
			t.Fatal(err)
		}
		call := func() error {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			return cc.Invoke(ctx, unaryPath, new(text), new(text))
		}
		if err := call(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if got := cc.GetState(); got != connectivity.Idle {
			t.Fatalf("state %v", got)
		}
		wantWhy(t, call(), codes.DeadlineExceeded, callboard.Resolving)
		_ = cc.Close()
	})
}

// onceResolver answers once, and never again.
type onceResolver struct{ built int }

func (*onceResolver) Scheme() string { return "once" }

func (o *onceResolver) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if o.built++; o.built == 1 {
		return o, cc.UpdateState(resolver.State{Addresses: []resolver.Address{{Addr: "stage"}}})
	}
	return o, nil
}

func (*onceResolver) ResolveNow(resolver.ResolveNowOptions) {}
func (*onceResolver) Close()                                {}

func TestWhyResolvingFails(t *testing.T) {
	r := manual.NewBuilderWithScheme("broken")
	noHost := &net.DNSError{Err: "no such host", Name: "nowhere"}
	r.BuildCallback = func(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) { cc.ReportError(noHost) }
	c := newWhyClient(t, "broken:///nowhere", callboard.WithResolvers(r))
	for code, opts := range map[codes.Code][]grpc.CallOption{codes.Unavailable: nil, codes.DeadlineExceeded: {grpc.WaitForReady(true)}} {
		err := c.within(soonOver, 0, opts...)
		why := wantWhy(t, err, code, callboard.Resolving)
		var dns *net.DNSError
		if !errors.As(err, &dns) || dns != noHost || !errors.Is(why.Cause, noHost) {
			t.Errorf("cause %v", why.Cause)
		}
	}
}

func TestWhyThereAreNoEndpoints(t *testing.T) {
	r := manual.NewBuilderWithScheme("empty")
	r.InitialState(resolver.State{})
	c := newWhyClient(t, "empty:///nowhere", callboard.WithResolvers(r))
	why := wantWhy(t, c.within(soonOver, 0), codes.Unavailable, callboard.Picking)
	if len(why.Subchannels) != 0 || why.Cause == nil {
		t.Errorf("%+v", why)
	}
}

// closedPort is an address of loopback where nobody listens.
func closedPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWhyTheDialIsRefused(t *testing.T) {
	addr := closedPort(t)
	c := newWhyClient(t, "passthrough:///"+addr)
	for code, opts := range map[codes.Code][]grpc.CallOption{codes.Unavailable: nil, codes.DeadlineExceeded: {grpc.WaitForReady(true)}} {
		err := c.within(soonOver, 0, opts...)
		why := wantWhy(t, err, code, callboard.Connecting)
		if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(why.Cause, syscall.ECONNREFUSED) {
			t.Errorf("cause %v", why.Cause)
		}
		if len(why.Subchannels) != 1 {
			t.Fatalf("subchannels %+v", why.Subchannels)
		}
		s := why.Subchannels[0]
		if s.Address != addr || s.State != connectivity.TransientFailure || !errors.Is(s.LastError, syscall.ECONNREFUSED) {
			t.Errorf("subchannel %+v", s)
		}
	}
}

// When the next attempt comes is told, and it comes then.
func TestWhySaysWhenTheNextAttemptComes(t *testing.T) {
	onStage(t, playbook{unary: echo}, nil, func(s *stage) {
		s.open(false)
		why := wantWhy(t, s.call(context.Background()), codes.Unavailable, callboard.Connecting)
		if len(why.Subchannels) != 1 || !errors.Is(why.Cause, errNobodyHome) {
			t.Fatalf("%+v", why)
		}
		next := time.Until(why.Subchannels[0].NextAttempt)
		if next != time.Second {
			t.Errorf("next attempt in %v, want the first backoff of 1s", next)
		}
		s.open(true)
		time.Sleep(next - 1)
		if n := s.dialled(); n != 1 {
			t.Errorf("%d dials before the time", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if err := s.call(context.Background(), grpc.WaitForReady(true)); err != nil || s.dialled() != 2 {
			t.Errorf("%v after %d dials", err, s.dialled())
		}
	})
}

// A host that does not answer is told as what it is: being connected to.
func TestWhyTheDialHangs(t *testing.T) {
	hang := func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
	onStage(t, playbook{unary: echo}, []callboard.DialOption{callboard.WithContextDialer(hang)}, func(s *stage) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		why := wantWhy(t, s.call(ctx), codes.DeadlineExceeded, callboard.Connecting)
		want := []callboard.SubchannelWhy{{Path: stageSubchannel, Address: "stage", State: connectivity.Connecting}}
		if d := cmp.Diff(want, why.Subchannels); d != "" {
			t.Errorf("subchannels (-want +got):\n%s", d)
		}
		if d := cmp.Diff([]callboard.StageTime{{Stage: callboard.Connecting, For: 3 * time.Second}}, why.Elapsed); d != "" {
			t.Errorf("elapsed (-want +got):\n%s", d)
		}
	})
}

func TestWhyTLSIsRefused(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	defer srv.Close()
	c := newWhyClient(t, "passthrough:///"+srv.Listener.Addr().String(),
		callboard.WithTransportCredentials(credentials.NewTLS(nil)))
	err := c.within(5*time.Second, 0)
	why := wantWhy(t, err, codes.Unavailable, callboard.Connecting)
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || !errors.As(why.Subchannels[0].LastError, &unknown) {
		t.Errorf("cause %v", why.Cause)
	}
}
