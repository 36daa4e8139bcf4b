package interop_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	pb "google.golang.org/grpc/interop/grpc_testing"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	officialca "google.golang.org/grpc/testdata"

	"github.com/callboard-rpc/callboard/interop"
	"github.com/callboard-rpc/callboard/interop/cases"
	"github.com/callboard-rpc/callboard/interop/observe"
	"github.com/callboard-rpc/callboard/interop/peer"
	"github.com/callboard-rpc/callboard/interop/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// caseTimeout bounds one test case; each takes milliseconds when all is well.
const caseTimeout = 30 * time.Second

// security is how a pairing talks.
type security struct {
	name           string
	server, client func(t *testing.T) credentials.TransportCredentials
}

func securities() []security {
	none := func(*testing.T) credentials.TransportCredentials { return nil }
	return []security{
		{"plaintext", none, none},
		{"tls", serverTLS, clientTLS},
	}
}

func serverTLS(t *testing.T) credentials.TransportCredentials {
	return interop.ServerTLS(must(interop.ServerIdentity("", ""))(t), nil)
}

func clientTLS(t *testing.T) credentials.TransportCredentials {
	return interop.ClientTLS(must(interop.Roots(""))(t), interop.ServerName)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Every test case runs over every pairing of implementations, plaintext and
// TLS.
func TestCases(t *testing.T) {
	for _, client := range peer.All() {
		for _, server := range peer.All() {
			for _, sec := range securities() {
				t.Run(client.Name+"-to-"+server.Name+"/"+sec.name, func(t *testing.T) {
					target := start(t, server, sec.server(t))
					runCases(t, client, target, sec.client(t))
				})
			}
		}
	}
}

func runCases(t *testing.T, client peer.Stack, target string, creds credentials.TransportCredentials) {
	cfg := peer.ClientConfig{Creds: creds, Stats: observe.Handler{}}
	cc := must(client.NewClient(target, cfg))(t)
	t.Cleanup(func() { _ = cc.Close() })
	env := &cases.Env{
		Conn:     cc,
		Open:     func() (cases.Channel, error) { return client.NewClient(target, cfg) },
		Prepare:  client.Prepare,
		Parallel: 100,
		Soak:     cases.Soak{Iterations: 20, Workers: 2, OverallTimeout: caseTimeout},
	}
	for _, c := range cases.All() {
		t.Run(c.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
			defer cancel()
			if err := c.Run(ctx, env); err != nil {
				t.Error(err)
			}
		})
	}
}

// start serves every service on loopback and returns the target.
func start(t *testing.T, stack peer.Stack, creds credentials.TransportCredentials) string {
	t.Helper()
	lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	srv := stack.NewServer(peer.ServerConfig{Creds: creds, Stats: observe.Handler{}})
	services.Register(srv, services.Runtime{SetSendCompressor: stack.SetSendCompressor, Prepare: stack.Prepare})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "passthrough:///" + lis.Addr().String()
}

// A client certificate reaches the handler: fill_username answers its name.
func TestUsernameComesFromTheClientCertificate(t *testing.T) {
	forPairs(t, func(t *testing.T, client, server peer.Stack) {
		roots := must(interop.Roots(""))(t)
		target := start(t, server, interop.ServerTLS(must(interop.ServerIdentity("", ""))(t), roots))
		for _, tc := range []struct {
			name string
			ids  []tls.Certificate
			want string
			ok   bool
		}{
			{"with certificate", []tls.Certificate{must(interop.ClientIdentity())(t)}, "spiffe://callboard.test/client", true},
			{"without certificate", nil, "", false},
		} {
			t.Run(tc.name, func(t *testing.T) {
				cc := dial(t, client, target, interop.ClientTLS(roots, interop.ServerName, tc.ids...))
				reply, err := pb.NewTestServiceClient(cc).UnaryCall(bounded(t), &pb.SimpleRequest{FillUsername: true})
				if ok := err == nil; ok != tc.ok {
					t.Fatalf("UnaryCall: %v, want success %v", err, tc.ok)
				}
				if got := reply.GetUsername(); got != tc.want {
					t.Errorf("username is %q, want %q", got, tc.want)
				}
			})
		}
	})
}

// grpc-go's own test certificates, when the module's files are at hand.
func TestOfficialCertificates(t *testing.T) {
	ca, cert, key := officialca.Path("ca.pem"), officialca.Path("server1.pem"), officialca.Path("server1.key")
	for _, f := range []string{ca, cert, key} {
		if _, err := os.Stat(f); err != nil {
			t.Skipf("grpc-go's test certificates are not here: %v", err)
		}
	}
	forPairs(t, func(t *testing.T, client, server peer.Stack) {
		target := start(t, server, interop.ServerTLS(must(interop.ServerIdentity(cert, key))(t), nil))
		cc := dial(t, client, target, interop.ClientTLS(must(interop.Roots(ca))(t), interop.ServerName))
		if _, err := pb.NewTestServiceClient(cc).EmptyCall(bounded(t), &pb.Empty{}); err != nil {
			t.Error(err)
		}
	})
}

// A server whose certificate is for another name, or from a CA that is not
// trusted, is not talked to.
func TestCertificateIsChecked(t *testing.T) {
	forPairs(t, func(t *testing.T, client, server peer.Stack) {
		target := start(t, server, serverTLS(t))
		for name, creds := range map[string]credentials.TransportCredentials{
			"another name": interop.ClientTLS(must(interop.Roots(""))(t), "callboard.example"),
			"another CA":   interop.ClientTLS(nil, interop.ServerName),
		} {
			t.Run(name, func(t *testing.T) {
				cc := dial(t, client, target, creds)
				if _, err := pb.NewTestServiceClient(cc).EmptyCall(bounded(t), &pb.Empty{}); err == nil {
					t.Error("EmptyCall succeeded")
				}
			})
		}
	})
}

// Health and reflection of grpc-go serve what is registered.
func TestHealthAndReflection(t *testing.T) {
	forPairs(t, func(t *testing.T, client, server peer.Stack) {
		cc := dial(t, client, start(t, server, nil), nil)
		reply, err := healthpb.NewHealthClient(cc).Check(bounded(t), &healthpb.HealthCheckRequest{Service: "grpc.testing.TestService"})
		if err != nil || reply.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("Check: %v, %v; want SERVING", reply, err)
		}

		st := must(reflectionpb.NewServerReflectionClient(cc).ServerReflectionInfo(bounded(t)))(t)
		err = st.Send(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		})
		if err != nil {
			t.Fatal(err)
		}
		list := must(st.Recv())(t)
		var got []string
		for _, s := range list.GetListServicesResponse().GetService() {
			got = append(got, s.GetName())
		}
		for _, want := range []string{"grpc.testing.TestService", "grpc.testing.UnimplementedService", "grpc.testing.BenchmarkService", "grpc.health.v1.Health"} {
			if !slices.Contains(got, want) {
				t.Errorf("reflection lists %q, lacks %s", got, want)
			}
		}
	})
}

func forPairs(t *testing.T, f func(t *testing.T, client, server peer.Stack)) {
	for _, client := range peer.All() {
		for _, server := range peer.All() {
			t.Run(client.Name+"-to-"+server.Name, func(t *testing.T) { f(t, client, server) })
		}
	}
}

func dial(t *testing.T, stack peer.Stack, target string, creds credentials.TransportCredentials) grpc.ClientConnInterface {
	t.Helper()
	cc := must(stack.NewClient(target, peer.ClientConfig{Creds: creds}))(t)
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), caseTimeout)
	t.Cleanup(cancel)
	return ctx
}
