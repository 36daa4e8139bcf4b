package cases_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/callboard-rpc/callboard/interop/cases"
	"github.com/callboard-rpc/callboard/interop/observe"
	"github.com/callboard-rpc/callboard/interop/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A case that passes against a server that implements nothing tests nothing.
func TestCasesFailAgainstAnEmptyServer(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	pb.RegisterTestServiceServer(srv, pb.UnimplementedTestServiceServer{})
	go func() { _ = srv.Serve(lis) }()
	defer srv.Stop()

	open := func() (cases.Channel, error) {
		return grpc.NewClient(lis.Addr().String(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithStatsHandler(observe.Handler{}))
	}
	cc, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	env := &cases.Env{
		Conn: cc, Open: open, Parallel: 2, Soak: cases.Soak{Iterations: 2},
		Prepare: func(st peer.Stream, m any) (any, error) {
			p := new(grpc.PreparedMsg)
			return p, p.Encode(st, m)
		},
	}
	for _, c := range cases.All() {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := c.Run(ctx, env)
			switch passes := strings.HasPrefix(c.Name, "unimplemented_") || c.Name == "cancel_after_begin"; {
			case passes && err != nil:
				t.Errorf("failed: %v", err)
			case !passes && err == nil:
				t.Error("passed")
			}
		})
	}
}

func TestByName(t *testing.T) {
	for _, tc := range []struct {
		name, why string // why is part of the error, "" for none
	}{
		{"empty_unary", ""},
		{"channel_soak", ""},
		{"jwt_token_creds", "service account"},
		{"no_such_case", "no test case"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := cases.ByName(tc.name)
			switch {
			case tc.why == "" && (err != nil || c.Name != tc.name):
				t.Errorf("ByName: %q, %v", c.Name, err)
			case tc.why != "" && (err == nil || !strings.Contains(err.Error(), tc.why)):
				t.Errorf("ByName: %v, want an error about %q", err, tc.why)
			}
		})
	}
}

func TestSoakCountsWhatItMustNotForgive(t *testing.T) {
	for _, tc := range []struct {
		name string
		soak cases.Soak
	}{
		{"more failures than allowed", cases.Soak{Iterations: 4, Workers: 2, MaxFailures: 3}},
		{"workers that do not divide the iterations", cases.Soak{Iterations: 5, Workers: 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := cases.ByName("rpc_soak")
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context(), &cases.Env{Conn: broken{}, Soak: tc.soak}); err == nil {
				t.Error("passed")
			}
		})
	}
}

// broken fails every call.
type broken struct{ grpc.ClientConnInterface }

func (broken) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return context.DeadlineExceeded
}
