package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/callboard-rpc/callboard/interop"
	"github.com/callboard-rpc/callboard/interop/peer"

	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// connectTimeout bounds the wait for a channel, which a call's own timeout must
// not pay for.
const connectTimeout = 10 * time.Second

// channels are shared by the calls that want the same server, identity and
// limit.
type channels struct {
	stack peer.Stack
	mu    sync.Mutex
	open  map[channelKey]peer.Client
}

type channelKey struct {
	target        string
	roots, client [sha256.Size]byte
	maxReceive    uint32
}

func newChannels(stack peer.Stack) *channels {
	return &channels{stack: stack, open: make(map[channelKey]peer.Client)}
}

func (c *channels) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cc := range c.open {
		_ = cc.Close()
	}
}

// get returns a channel that is ready.
func (c *channels) get(ctx context.Context, req *pb.ClientCompatRequest) (peer.Client, error) {
	cc, err := c.lookup(req)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return cc, peer.AwaitReady(ctx, cc)
}

func (c *channels) lookup(req *pb.ClientCompatRequest) (peer.Client, error) {
	key := channelKey{
		target:     "passthrough:///" + net.JoinHostPort(req.GetHost(), strconv.FormatUint(uint64(req.GetPort()), 10)),
		roots:      sha256.Sum256(req.GetServerTlsCert()),
		client:     sha256.Sum256(req.GetClientTlsCreds().GetCert()),
		maxReceive: req.GetMessageReceiveLimit(),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cc, ok := c.open[key]; ok {
		return cc, nil
	}
	cfg, err := clientConfig(req)
	if err != nil {
		return nil, err
	}
	cc, err := c.stack.NewClient(key.target, cfg)
	if err != nil {
		return nil, err
	}
	c.open[key] = cc
	return cc, nil
}

func clientConfig(req *pb.ClientCompatRequest) (peer.ClientConfig, error) {
	cfg := peer.ClientConfig{MaxReceive: int(req.GetMessageReceiveLimit())}
	pem := req.GetServerTlsCert()
	if len(pem) == 0 {
		return cfg, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return cfg, errors.New("server_tls_cert holds no certificate")
	}
	var ids []tls.Certificate
	if creds := req.GetClientTlsCreds(); creds != nil {
		id, err := tls.X509KeyPair(creds.GetCert(), creds.GetKey())
		if err != nil {
			return cfg, fmt.Errorf("client_tls_creds: %w", err)
		}
		ids = append(ids, id)
	}
	cfg.Creds = interop.ClientTLS(roots, "", ids...)
	return cfg, nil
}
