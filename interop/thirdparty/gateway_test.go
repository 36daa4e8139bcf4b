package thirdparty_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// store is a little of etcd: enough for its gateway to have something to talk
// to.
type store struct {
	etcdserverpb.UnimplementedKVServer
	etcdserverpb.UnimplementedWatchServer

	gone chan struct{} // a watcher is
}

func (*store) Range(ctx context.Context, in *etcdserverpb.RangeRequest) (*etcdserverpb.RangeResponse, error) {
	who := metadata.ValueFromIncomingContext(ctx, "who")
	for _, err := range []error{
		grpc.SetHeader(ctx, metadata.MD{"you-are": who}), grpc.SetTrailer(ctx, metadata.Pairs("at-last", "yes")),
	} {
		if err != nil {
			return nil, err
		}
	}
	switch key := string(in.GetKey()); key {
	case "there":
		kv := &mvccpb.KeyValue{Key: in.GetKey(), Value: []byte("value"), ModRevision: 7}
		return &etcdserverpb.RangeResponse{Kvs: []*mvccpb.KeyValue{kv}, Count: 1}, nil
	case "slow":
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	default:
		st, err := status.New(codes.NotFound, key).WithDetails(in)
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}
}

// Watch answers each request, and refuses a key called "forbidden". Behind the
// last it ends, unless that was called "stay".
func (s *store) Watch(st etcdserverpb.Watch_WatchServer) error {
	if err := st.SendHeader(metadata.Pairs("watching", "yes")); err != nil {
		return err
	}
	var last string
	for id := int64(1); ; id++ {
		in, err := st.Recv()
		if err != nil {
			if last == "stay" { // its end may come with or before that of the requests
				<-st.Context().Done()
				close(s.gone)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		if last = string(in.GetCreateRequest().GetKey()); last == "forbidden" {
			return status.Error(codes.PermissionDenied, last)
		}
		if err := st.Send(&etcdserverpb.WatchResponse{WatchId: id, Created: true}); err != nil {
			return err
		}
	}
}

// wiring is how a gateway comes to its channel.
type wiring func(t *testing.T, mux *runtime.ServeMux, cc client)

func byInterface(t *testing.T, mux *runtime.ServeMux, cc client) {
	t.Helper()
	for _, err := range []error{
		gw.RegisterKVHandlerClient(soon(t), mux, etcdserverpb.NewKVClient(cc)),
		gw.RegisterWatchHandlerClient(soon(t), mux, etcdserverpb.NewWatchClient(cc)),
		gw.RegisterLeaseHandlerClient(soon(t), mux, etcdserverpb.NewLeaseClient(cc)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func byConcreteType(t *testing.T, mux *runtime.ServeMux, cc client) {
	t.Helper()
	c := concrete(t, cc)
	for _, err := range []error{
		gw.RegisterKVHandler(soon(t), mux, c), gw.RegisterWatchHandler(soon(t), mux, c), gw.RegisterLeaseHandler(soon(t), mux, c),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// gateway serves HTTP with JSON in front of a store.
func gateway(t *testing.T, p pairing, w wiring) (base string, hc *http.Client, s *store, stop func()) {
	t.Helper()
	s = &store{gone: make(chan struct{})}
	srv := p.server.server(serverSide{})
	etcdserverpb.RegisterKVServer(srv, s)
	etcdserverpb.RegisterWatchServer(srv, s)
	addr, stop := serve(t, srv)
	mux := runtime.NewServeMux()
	w(t, mux, dial(t, p.client, addr, clientSide{}))
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return web.URL, web.Client(), s, stop
}

// reply is what the gateway makes of an RPC.
type reply struct {
	Status  int
	Header  http.Header
	Trailer http.Header
	Body    []any
}

var requests = []struct {
	name, path, body string
	header           http.Header
	down             bool // there is no server any more
	foreign          bool // the text is the channel's or the server's own
	status           int
}{
	{name: "found", path: "/v3/kv/range", body: `{"key":"dGhlcmU="}`, status: http.StatusOK},
	{
		name: "metadata", path: "/v3/kv/range", body: `{"key":"dGhlcmU="}`, status: http.StatusOK,
		header: http.Header{"Grpc-Metadata-Who": {"me", "and I"}, "Te": {"trailers"}, "Authorization": {"Bearer x"}},
	},
	{name: "missing, with details", path: "/v3/kv/range", body: `{"key":"bm9uZQ=="}`, status: http.StatusNotFound},
	{name: "not implemented", path: "/v3/kv/txn", body: `{}`, status: http.StatusNotImplemented},
	{name: "not registered", path: "/v3/lease/grant", body: `{}`, status: http.StatusNotImplemented, foreign: true},
	{name: "no JSON", path: "/v3/kv/range", body: `{`, status: http.StatusBadRequest, foreign: true},
	{name: "too late", path: "/v3/kv/range", body: `{"key":"c2xvdw=="}`, status: http.StatusGatewayTimeout, header: http.Header{"Grpc-Timeout": {"50m"}}, foreign: true},
	{name: "watch", path: "/v3/watch", body: `{"create_request":{"key":"YQ=="}} {"create_request":{"key":"Yg=="}}`, status: http.StatusOK},
	{name: "watch, refused", path: "/v3/watch", body: `{"create_request":{"key":"YQ=="}} {"create_request":{"key":"Zm9yYmlkZGVu"}}`, status: http.StatusOK},
	{name: "no server", path: "/v3/kv/range", body: `{"key":"dGhlcmU="}`, down: true, status: http.StatusServiceUnavailable, foreign: true},
}

// etcd's generated gateway, wired to a callboard channel either way, answers HTTP
// requests as it does over grpc-go: statuses, headers, trailers and JSON.
func TestGateway(t *testing.T) {
	for name, w := range map[string]wiring{"interface": byInterface, "concrete type": byConcreteType} {
		t.Run(name, func(t *testing.T) {
			want := sameAsGRPCGo(t, func(t *testing.T, p pairing) map[string]reply {
				base, hc, _, stop := gateway(t, p, w)
				got := map[string]reply{}
				for _, r := range requests {
					if r.down {
						stop()
					}
					got[r.name] = post(t, hc, base+r.path, r.body, r.header, r.foreign)
				}
				return got
			})
			for _, r := range requests {
				if want[r.name].Status != r.status {
					t.Errorf("%s: %+v", r.name, want[r.name])
				}
			}
			if got := want["metadata"]; got.Header.Get("Grpc-Metadata-You-Are") != "me" || got.Trailer.Get("Grpc-Trailer-At-Last") != "yes" {
				t.Errorf("%+v", got)
			}
			if got := want["watch"]; len(got.Body) != 2 || got.Header.Get("Grpc-Metadata-Watching") != "yes" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func post(t *testing.T, hc *http.Client, url, body string, header http.Header, foreign bool) (got reply) {
	t.Helper()
	req, err := http.NewRequestWithContext(soon(t), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	got.Status, got.Header = resp.StatusCode, resp.Header
	got.Header.Del("Date")
	got.Header.Del("Content-Length")
	for dec := json.NewDecoder(resp.Body); ; {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := v.(map[string]any); ok && foreign {
			delete(m, "message")
			got.Header.Del("Grpc-Metadata-Content-Type") // whether a deadline is the server's is a race
		}
		got.Body = append(got.Body, v)
	}
	got.Trailer = resp.Trailer
	return got
}

// A browser that goes away ends the RPC behind the gateway.
func TestGatewayWatcherLeaves(t *testing.T) {
	eachPairing(t, func(t *testing.T, p pairing) {
		base, hc, s, _ := gateway(t, p, byInterface)
		ctx, cancel := context.WithCancel(soon(t))
		defer cancel()
		// HTTP/1 has the answer begin when all of the request was read.
		body := strings.NewReader(`{"create_request":{"key":"c3RheQ=="}}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v3/watch", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		line, err := bufio.NewReader(resp.Body).ReadString('\n')
		var first struct {
			Result struct {
				ID string `json:"watchId"`
			}
		}
		if err != nil || json.Unmarshal([]byte(line), &first) != nil {
			t.Fatalf("%q, %v", line, err)
		}
		if d := cmp.Diff("1", first.Result.ID); d != "" {
			t.Errorf("-want +got\n%s", d)
		}
		cancel()
		select {
		case <-s.gone:
		case <-soon(t).Done():
			t.Error("the server still watches")
		}
	})
}
