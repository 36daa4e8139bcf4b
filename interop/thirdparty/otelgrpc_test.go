package thirdparty_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/testing/testpb"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// scene is one thing a program does with a channel, and the service config it
// does it with.
type scene struct {
	config string
	script []step // of the server
	play   func(t *testing.T, ctx context.Context, cc client)
	down   bool // there is no server any more
	// spans that end, with grpc-go: the client's, and the server's.
	client, server int
}

const retrying = `{"methodConfig":[{"name":[{}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"0.01s",
	"maxBackoff":"0.01s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

var scenes = map[string]scene{
	"every kind": {
		play: func(t *testing.T, _ context.Context, cc client) { everyKind(t, testpb.NewTestServiceClient(cc)) },
		// everyKind has a context of its own: these are roots.
		client: 5, server: 5,
	},
	"parent": {client: 1, server: 1, play: func(t *testing.T, ctx context.Context, cc client) {
		c := testpb.NewTestServiceClient(cc)
		if _, err := c.PingEmpty(ctx, &testpb.PingEmptyRequest{}); err != nil {
			t.Error(err)
		}
	}},
	"stream with a parent": {client: 1, server: 1, play: func(t *testing.T, ctx context.Context, cc client) {
		c := testpb.NewTestServiceClient(cc)
		if err := callPingList(ctx, c, new(retried)); err != nil {
			t.Error(err)
		}
	}},
	"deadline": {
		client: 1, server: 1, script: []step{{hang: true, code: codes.DeadlineExceeded}},
		play: func(t *testing.T, ctx context.Context, cc client) {
			c := testpb.NewTestServiceClient(cc)
			ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
			defer cancel()
			if _, err := c.Ping(ctx, testpb.GoodPing); status.Code(err) != codes.DeadlineExceeded {
				t.Error(err)
			}
		},
	},
	"cancelled": {
		client: 1, server: 1, script: []step{{messages: 1, hang: true, code: codes.Canceled}},
		play: func(t *testing.T, ctx context.Context, cc client) {
			c := testpb.NewTestServiceClient(cc)
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			st, err := c.PingList(ctx, testpb.GoodPingList)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				t.Error(err)
			}
			cancel()
			for err == nil {
				_, err = st.Recv()
			}
			if status.Code(err) != codes.Canceled {
				t.Error(err)
			}
		},
	},
	"retried by service config": {
		client: 3, server: 3, script: []step{{code: codes.Unavailable}, {code: codes.Unavailable}},
		config: retrying,
		play: func(t *testing.T, ctx context.Context, cc client) {
			c := testpb.NewTestServiceClient(cc)
			if _, err := c.Ping(ctx, testpb.GoodPing); err != nil {
				t.Error(err)
			}
		},
	},
	"stream retried by service config": {
		client: 2, server: 2, script: []step{{code: codes.Unavailable}},
		config: retrying,
		play: func(t *testing.T, ctx context.Context, cc client) {
			c := testpb.NewTestServiceClient(cc)
			if err := callPingList(ctx, c, new(retried)); err != nil {
				t.Error(err)
			}
		},
	},
	"stream given up by the server": {
		client: 1, server: 1, script: []step{{messages: 3, code: codes.DataLoss}},
		play: func(t *testing.T, ctx context.Context, cc client) {
			c := testpb.NewTestServiceClient(cc)
			if err := callPingList(ctx, c, new(retried)); status.Code(err) != codes.DataLoss {
				t.Error(err)
			}
		},
	},
	"nothing sent": {client: 1, server: 1, play: func(t *testing.T, ctx context.Context, cc client) {
		c := testpb.NewTestServiceClient(cc)
		st, err := c.PingStream(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := st.Recv(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}},
	"unknown method": {client: 1, server: 0, play: func(t *testing.T, ctx context.Context, cc client) {
		unknown(ctx, t, cc, "/testing.testpb.v1.TestService/Unknown")
	}},
	"unknown service": {client: 1, server: 0, play: func(t *testing.T, ctx context.Context, cc client) {
		unknown(ctx, t, cc, "/testing.testpb.v1.Unknown/Ping")
	}},
	"no server": {client: 1, server: 0, down: true, play: func(t *testing.T, ctx context.Context, cc client) {
		err := cc.Invoke(ctx, testpb.TestService_Ping_FullMethodName, &testpb.PingRequest{}, &testpb.PingResponse{})
		if status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
	}},
	"no server for a stream": {client: 1, server: 0, down: true, play: func(t *testing.T, ctx context.Context, cc client) {
		if err := callPingList(ctx, testpb.NewTestServiceClient(cc), new(retried)); status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
	}},
}

// unknown calls what the server does not have. It sends nothing: a unary RPC of
// grpc-go's that is answered before its request was written ends, for stats
// handlers, as OK.
func unknown(ctx context.Context, t *testing.T, cc client, method string) {
	t.Helper()
	st, err := cc.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.RecvMsg(&testpb.PingResponse{}); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}

// span is a span without what differs from run to run.
type span struct {
	Name, Parent string
	Kind         trace.SpanKind
	Attributes   []string
	Events       []string
	Links        int
	Status       otelcodes.Code
	Remote       bool // its parent came over the wire
	Ended        int  // of how many alike
}

// telemetry is all that one run leaves.
type telemetry struct {
	Spans   []span
	Metrics []metric
	Baggage []string // of the last RPC, at the server
}

// metric is one data point of one instrument; what was measured varies.
type metric struct {
	Name, Unit string
	Attributes []string
	Count      uint64
}

// otelgrpc's stats handlers, on both sides, make of callboard's events the spans
// and metrics that they make of grpc-go's: names, kinds, parents over the wire,
// statuses, attributes and events, one span per attempt.
func TestOtelgrpc(t *testing.T) {
	for name, sc := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := sameAsGRPCGo(t, func(t *testing.T, p pairing) telemetry { return sc.run(t, p) })
			count := map[trace.SpanKind]int{}
			for _, s := range want.Spans {
				count[s.Kind] += s.Ended
			}
			if count[trace.SpanKindClient] != sc.client || count[trace.SpanKindServer] != sc.server {
				t.Errorf("%v spans, want %d of the client and %d of the server", count, sc.client, sc.server)
			}
			if len(want.Metrics) == 0 {
				t.Error("nothing is measured")
			}
			if name == "parent" && !slices.Equal(want.Baggage, []string{"who=me"}) {
				t.Errorf("baggage %q", want.Baggage)
			}
		})
	}
}

func (sc scene) run(t *testing.T, p pairing) telemetry {
	spans := tracetest.NewSpanRecorder()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	reader := sdkmetric.NewManualReader()
	opts := []otelgrpc.Option{
		otelgrpc.WithTracerProvider(tracers), otelgrpc.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
		otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
		otelgrpc.WithMessageEvents(otelgrpc.ReceivedEvents, otelgrpc.SentEvents),
	}
	srv := p.server.server(serverSide{stats: otelgrpc.NewServerHandler(opts...)})
	bag := make(chan []string, 16)
	f := &flaky{script: sc.script}
	testpb.RegisterTestServiceServer(srv, &carried{flaky: f, bag: bag})
	addr, stop := serve(t, srv)
	cc := dial(t, p.client, addr, clientSide{stats: otelgrpc.NewClientHandler(opts...), config: sc.config})

	member, err := baggage.NewMember("who", "me")
	if err != nil {
		t.Fatal(err)
	}
	b, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx, root := tracers.Tracer("test").Start(baggage.ContextWithBaggage(soon(t), b), "root")
	if sc.down {
		stop()
	}
	sc.play(t, ctx, cc)
	root.End()
	_ = cc.Close()
	stop()
	close(bag)
	got := telemetry{Spans: summed(spans), Metrics: measured(t, reader)}
	for got.Baggage = range bag { //nolint:revive // the last one counts
	}
	return got
}

// carried notes the baggage that PingEmpty's context has.
type carried struct {
	*flaky
	bag chan<- []string
}

func (c *carried) PingEmpty(ctx context.Context, in *testpb.PingEmptyRequest) (*testpb.PingEmptyResponse, error) {
	var got []string
	for _, m := range baggage.FromContext(ctx).Members() {
		got = append(got, m.String())
	}
	c.bag <- got
	return c.flaky.PingEmpty(ctx, in)
}

// summed sorts the spans, and counts those that are alike.
func summed(r *tracetest.SpanRecorder) (all []span) {
	names, ended := map[trace.SpanID]string{}, map[trace.SpanID]bool{}
	for _, s := range r.Started() {
		names[s.SpanContext().SpanID()] = s.SpanKind().String() + " " + s.Name()
	}
	for _, s := range r.Ended() {
		ended[s.SpanContext().SpanID()] = true
	}
	for _, s := range r.Started() {
		of := span{
			Name: s.Name(), Kind: s.SpanKind(), Attributes: attributes(s.Attributes()), Links: len(s.Links()),
			Status: s.Status().Code, Parent: names[s.Parent().SpanID()], Remote: s.Parent().IsRemote(),
		}
		for _, e := range s.Events() {
			of.Events = append(of.Events, e.Name+" "+strings.Join(attributes(e.Attributes), " "))
		}
		n := 0
		if ended[s.SpanContext().SpanID()] {
			n = 1
		}
		if i := slices.IndexFunc(all, func(o span) bool { o.Ended = 0; return cmp.Equal(o, of) }); i >= 0 {
			all[i].Ended += n
			continue
		}
		of.Ended = n
		all = append(all, of)
	}
	slices.SortFunc(all, func(a, b span) int {
		return strings.Compare(a.order(), b.order())
	})
	return all
}

func (s span) order() string {
	return s.Kind.String() + s.Name + s.Status.String() + strings.Join(s.Attributes, " ")
}

// attributes leaves ports out: each run has its own.
func attributes(kvs []attribute.KeyValue) (all []string) {
	for _, kv := range kvs {
		v := kv.Value.String()
		if strings.HasSuffix(string(kv.Key), ".port") {
			v = "a port"
		}
		all = append(all, string(kv.Key)+"="+v)
	}
	slices.Sort(all)
	return all
}

func measured(t *testing.T, r *sdkmetric.ManualReader) (all []metric) {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(soon(t), &rm); err != nil {
		t.Fatal(err)
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			h, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				t.Errorf("%s is a %T", m.Name, m.Data)
				continue
			}
			for _, p := range h.DataPoints {
				all = append(all, metric{Name: m.Name, Unit: m.Unit, Attributes: attributes(p.Attributes.ToSlice()), Count: p.Count})
			}
		}
	}
	slices.SortFunc(all, func(a, b metric) int {
		return strings.Compare(a.Name+strings.Join(a.Attributes, " "), b.Name+strings.Join(b.Attributes, " "))
	})
	return all
}
