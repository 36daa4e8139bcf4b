package callboard_test

import (
	"context"
	"crypto/tls"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
	"github.com/callboard-rpc/callboard/interop"
)

const testServerName = "foo.test.google.fr"

func TestServerSeesWhoCalls(t *testing.T) {
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := interop.ClientIdentity()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := interop.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	srv := newSystem(t).NewServer(callboard.Creds(interop.ServerTLS(id, roots)))
	addr := playbook{unary: func(ctx context.Context, in *text) (*text, error) {
		p, _ := peer.FromContext(ctx)
		ti, ok := p.AuthInfo.(credentials.TLSInfo)
		if !ok || len(ti.State.PeerCertificates) == 0 || ti.State.NegotiatedProtocol != "h2" {
			t.Errorf("auth info %#v", p.AuthInfo)
		}
		if err := credentials.CheckSecurityLevel(p.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
			t.Error(err)
		}
		return in, nil
	}}.start(t, srv)
	cc := dialTheirs(t, addr, grpc.WithTransportCredentials(interop.ClientTLS(roots, testServerName, client)))
	if err := cc.Invoke(soon(t), unaryPath, wrapperspb.String(""), new(text)); err != nil {
		t.Fatal(err)
	}
}

func TestServerWantsALPN(t *testing.T) {
	id, err := interop.ServerIdentity("", "")
	if err != nil {
		t.Fatal(err)
	}
	roots, err := interop.Roots("")
	if err != nil {
		t.Fatal(err)
	}
	addr := playbook{unary: echo}.start(t, newSystem(t).NewServer(callboard.Creds(interop.ServerTLS(id, nil))))
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, ServerName: testServerName, MinVersion: tls.VersionTLS12})
	if err != nil {
		return // refused during the handshake already
	}
	defer func() { _ = nc.Close() }()
	if n, err := nc.Read(make([]byte, 1)); err == nil {
		t.Errorf("the server said %d octets to a client that did not ask for h2", n)
	}
}
