package thirdparty_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callboard-rpc/callboard"
	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"github.com/mwitkow/grpc-proxy/proxy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
)

// route is who is on the way.
type route struct{ client, proxy, backend stack }

func (r route) name() string { return r.client.name + ", " + r.proxy.name + ", " + r.backend.name }

var routes = []route{
	{theirs, ours, ours},
	{theirs, ours, theirs},
	{ours, ours, ours},
	{ours, ours, theirs},
	{ours, theirs, ours},
	{theirs, theirs, ours},
	{ours, theirs, theirs},
}

// through runs grpc-proxy between a client and a backend that serves impl: a
// server that knows no service, and a channel with its codec, which takes
// messages for bytes.
func (r route) through(t *testing.T, impl testpb.TestServiceServer) testpb.TestServiceClient {
	t.Helper()
	srv := r.backend.server(serverSide{})
	testpb.RegisterTestServiceServer(srv, impl)
	addr, _ := serve(t, srv)
	behind := concrete(t, dial(t, r.proxy, addr, clientSide{codec: proxy.Codec()}))
	director := func(ctx context.Context, method string) (context.Context, *grpc.ClientConn, error) {
		if method == testpb.TestService_PingEmpty_FullMethodName {
			return nil, nil, status.Error(codes.PermissionDenied, "not for you")
		}
		in, _ := metadata.FromIncomingContext(ctx)
		return metadata.NewOutgoingContext(ctx, in.Copy()), behind, nil
	}
	addr, _ = serve(t, r.proxy.server(serverSide{unknown: proxy.TransparentHandler(director), codec: proxy.Codec()}))
	return testpb.NewTestServiceClient(dial(t, r.client, addr, clientSide{}))
}

// concrete is the type that the proxy insists on.
func concrete(t *testing.T, cc client) *grpc.ClientConn {
	t.Helper()
	if cc, ok := cc.(*callboard.ClientConn); ok {
		c, err := cc.GRPC()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return cc.(*grpc.ClientConn)
}

// telling is a backend that sends back what it was sent.
type telling struct {
	pingService
	deadline chan time.Duration
	gone     chan struct{}
}

func (s *telling) Ping(ctx context.Context, in *testpb.PingRequest) (*testpb.PingResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, err := range []error{
		grpc.SetHeader(ctx, metadata.MD{"told": md["tell"], "told-bin": md["tell-bin"]}),
		grpc.SetTrailer(ctx, metadata.Pairs("at-last", "yes", "at-last-bin", "\x00\xff")),
	} {
		if err != nil {
			return nil, err
		}
	}
	return &testpb.PingResponse{Value: in.GetValue()}, nil
}

func (*telling) PingError(_ context.Context, in *testpb.PingErrorRequest) (*testpb.PingErrorResponse, error) {
	short := in.GetValue()[:min(64, len(in.GetValue()))] // a header list has its limits
	st, err := status.New(codes.Code(in.GetErrorCodeReturned()), "why").WithDetails(&testpb.PingErrorRequest{Value: short})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}

// PingStream waits for the end of the RPC when it is told so.
func (s *telling) PingStream(st testpb.TestService_PingStreamServer) error {
	if len(metadata.ValueFromIncomingContext(st.Context(), "wait")) == 0 {
		return s.pingService.PingStream(st)
	}
	at, _ := st.Context().Deadline()
	s.deadline <- time.Until(at)
	if err := st.Send(&testpb.PingStreamResponse{}); err != nil {
		return err
	}
	<-st.Context().Done()
	close(s.gone)
	return nil
}

// passed is what comes through.
type passed struct {
	Header, Trailer metadata.MD
	Values          []string
	Codes           []codes.Code
	Details         []any
	Refusal         metadata.MD // of the RPC that has them
	Cancelled       codes.Code
}

// grpc-proxy's handler for unknown services and its raw codec pass on everything
// there is to an RPC, with callboard in each of the three places.
func TestTransparentProxy(t *testing.T) {
	var want passed
	t.Run("grpc-go alone", func(t *testing.T) { want = send(t, route{theirs, theirs, theirs}) })
	if want.Header.Get("told-bin")[0] != "\x01\xfe" || want.Trailer.Get("at-last-bin")[0] != "\x00\xff" || len(want.Details) != 1 {
		t.Fatalf("%+v", want)
	}
	for _, r := range routes {
		t.Run(r.name(), func(t *testing.T) {
			if d := cmp.Diff(want, send(t, r), protocmp.Transform()); d != "" {
				t.Errorf("-grpc-go alone +%s\n%s", r.name(), d)
			}
		})
	}
}

func send(t *testing.T, r route) (got passed) {
	t.Helper()
	backend := &telling{deadline: make(chan time.Duration, 1), gone: make(chan struct{})}
	c := r.through(t, backend)
	ctx := metadata.AppendToOutgoingContext(soon(t), "tell", "this", "tell", "and that", "tell-bin", "\x01\xfe")

	var header, trailer metadata.MD
	for _, value := range []string{"short", strings.Repeat("long ", 600_000), ""} {
		m, err := c.Ping(ctx, &testpb.PingRequest{Value: value}, grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil {
			t.Fatal(err)
		}
		got.Values = append(got.Values, m.GetValue())
	}
	got.Header, got.Trailer = header, trailer

	for _, code := range []codes.Code{codes.OutOfRange, codes.Code(77)} {
		var header, trailer metadata.MD
		_, err := c.PingError(ctx, &testpb.PingErrorRequest{Value: "detail", ErrorCodeReturned: uint32(code)}, grpc.Header(&header), grpc.Trailer(&trailer))
		st := status.Convert(err)
		got.Codes = append(got.Codes, st.Code())
		if code == codes.OutOfRange {
			got.Details = st.Details()
			got.Refusal = metadata.Join(header, trailer)
		}
	}
	_, err := c.PingEmpty(ctx, &testpb.PingEmptyRequest{})
	got.Codes = append(got.Codes, status.Code(err))

	var list retried
	got.Codes = append(got.Codes, status.Code(callPingList(ctx, c, &list)))
	for _, n := range list.Messages {
		got.Values = append(got.Values, fmt.Sprint(n))
	}
	up, err := c.PingClientStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := up.Send(&testpb.PingClientStreamRequest{Value: "up"}); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := up.CloseAndRecv()
	got.Codes, got.Values = append(got.Codes, status.Code(err)), append(got.Values, fmt.Sprint(sum.GetCounter()))
	got.Codes = append(got.Codes, status.Code(pingOnce(t, c, testpb.GoodPingStream)))
	got.Cancelled = backend.cancelled(ctx, t, c)
	return got
}

// cancelled gives up a stream in the middle: the backend has its deadline, and
// hears of the end.
func (s *telling) cancelled(ctx context.Context, t *testing.T, c testpb.TestServiceClient) codes.Code {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "wait", "yes"))
	defer cancel()
	st, err := c.PingStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err != nil {
		t.Fatal(err)
	}
	if d := <-s.deadline; d <= 0 || d > patience {
		t.Errorf("the backend has %v", d)
	}
	cancel()
	_, err = st.Recv()
	select {
	case <-s.gone:
	case <-soon(t).Done():
		t.Error("the backend never hears that the RPC was cancelled")
	}
	return status.Code(err)
}

// The raw codec keeps the bytes that it is given, and the proxy's goroutines
// outlive its handler by a little. Nobody's message may turn up in another RPC.
func TestTransparentProxyUnderLoad(t *testing.T) {
	const callers, each = 16, 40
	for _, r := range []route{{theirs, ours, ours}, {ours, ours, theirs}} {
		t.Run(r.name(), func(t *testing.T) {
			c := r.through(t, &telling{})
			ctx := soon(t)
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for j := range each {
						value := string(bytes.Repeat([]byte(fmt.Sprintf("%d/%d ", i, j)), 1+(i*each+j)*37%4000))
						if err := echoed(ctx, c, value, j); err != nil {
							t.Errorf("caller %d, call %d: %v", i, j, err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// echoed makes an RPC of one kind or another and checks that what comes back is
// its own.
func echoed(ctx context.Context, c testpb.TestServiceClient, value string, kind int) error {
	switch kind % 4 {
	case 0:
		m, err := c.Ping(ctx, &testpb.PingRequest{Value: value})
		if err != nil || m.GetValue() != value {
			return fmt.Errorf("unary: %d octets for %d: %w", len(m.GetValue()), len(value), err)
		}
	case 1: // it fails while the request is on its way
		_, err := c.PingError(ctx, &testpb.PingErrorRequest{Value: value, ErrorCodeReturned: uint32(codes.Aborted)})
		if status.Code(err) != codes.Aborted {
			return err
		}
	case 2:
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // in the middle of the list
		st, err := c.PingList(ctx, &testpb.PingListRequest{Value: value})
		if err != nil {
			return err
		}
		for range 3 {
			if m, err := st.Recv(); err != nil || m.GetValue() != value {
				return fmt.Errorf("list: %d octets for %d: %w", len(m.GetValue()), len(value), err)
			}
		}
	case 3:
		st, err := c.PingStream(ctx)
		if err != nil {
			return err
		}
		for n := range 3 {
			if err := st.Send(&testpb.PingStreamRequest{Value: value[:len(value)-n]}); err != nil {
				return err
			}
		}
		for n := range 3 {
			if m, err := st.Recv(); err != nil || m.GetValue() != value[:len(value)-n] {
				return fmt.Errorf("stream: %d octets for %d: %w", len(m.GetValue()), len(value), err)
			}
		}
		if err := st.CloseSend(); err != nil {
			return err
		}
		if _, err := st.Recv(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("stream: %w", err)
		}
	}
	return nil
}
