package callboard_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/metadata"

	"github.com/callboard-rpc/callboard"
)

// secret is a token that wants a connection nobody can listen to.
type secret struct{ token }

func (secret) RequireTransportSecurity() bool { return true }

// bundle is transport and per-RPC credentials in one.
type bundle struct {
	transport credentials.TransportCredentials
	perRPC    credentials.PerRPCCredentials
}

func (b bundle) TransportCredentials() credentials.TransportCredentials { return b.transport }
func (b bundle) PerRPCCredentials() credentials.PerRPCCredentials       { return b.perRPC }
func (b bundle) NewWithMode(string) (credentials.Bundle, error)         { return b, nil }

// Per-RPC credentials that want security get it or fail the call, as in
// grpc-go: local credentials give it on Unix sockets and not on TCP.
func TestSecretsStayOffOpenConnections(t *testing.T) {
	service := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := strings.Join(md["authorization"], " "); got != "s" {
			t.Errorf("authorization %q", got)
		}
		return in, nil
	}}
	tcp := service.start(t, grpc.NewServer(grpc.Creds(local.NewCredentials())))
	path := filepath.Join(t.TempDir(), "sock")
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := newSystem(t).NewServer(callboard.Creds(local.NewCredentials()))
	srv.RegisterService(service.desc(), nil)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(lis) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	plain := service.start(t, grpc.NewServer())
	s := secret{token{value: "s"}}
	for name, tt := range map[string]struct {
		target string
		creds  credentials.TransportCredentials
		ok     bool
	}{
		"plaintext":      {plain, insecure.NewCredentials(), false},
		"local, TCP":     {tcp, local.NewCredentials(), false},
		"local, Unix":    {"unix://" + path, local.NewCredentials(), true},
		"of the bundle":  {"unix://" + path, nil, true},
		"of the channel": {"unix://" + path, local.NewCredentials(), true},
	} {
		t.Run(name, func(t *testing.T) {
			dial := func(theirs bool) (closingConn, error) {
				var g []grpc.DialOption
				var c []callboard.DialOption
				if tt.creds == nil {
					b := bundle{local.NewCredentials(), s}
					g, c = append(g, grpc.WithCredentialsBundle(b)), append(c, callboard.WithCredentialsBundle(b))
				} else {
					g, c = append(g, grpc.WithTransportCredentials(tt.creds)), append(c, callboard.WithTransportCredentials(tt.creds))
				}
				if name == "of the channel" {
					g, c = append(g, grpc.WithPerRPCCredentials(s)), append(c, callboard.WithPerRPCCredentials(s))
				}
				if theirs {
					return grpc.NewClient(tt.target, g...)
				}
				return newSystem(t).NewClient(tt.target, c...)
			}
			bothClients(t, tt.target, dial, func(cc grpc.ClientConnInterface) []string {
				var opts []grpc.CallOption
				if name != "of the channel" && tt.creds != nil {
					opts = append(opts, grpc.PerRPCCredentials(s))
				}
				got := code(sent(cc, soon(t), opts...))
				if (got == "OK") != tt.ok {
					t.Errorf("%T: %s", cc, got)
				}
				return []string{got}
			})
		})
	}
}

// What cannot work is refused before anything is sent.
func TestNewClientRefusesOpenSecrets(t *testing.T) {
	sys := newSystem(t)
	for name, opts := range map[string][]callboard.DialOption{
		"no credentials":     nil,
		"secret, plaintext":  {callboard.WithInsecure(), callboard.WithPerRPCCredentials(secret{})},
		"credentials twice":  {callboard.WithInsecure(), callboard.WithCredentialsBundle(bundle{insecure.NewCredentials(), token{}})},
		"broken config":      {callboard.WithInsecure(), callboard.WithDefaultServiceConfig("{")},
		"nothing but a dial": {callboard.WithBlock()},
	} {
		if cc, err := sys.NewClient("passthrough:///x", opts...); err == nil {
			t.Errorf("%s: made", name)
			_ = cc.Close()
		}
	}
}
