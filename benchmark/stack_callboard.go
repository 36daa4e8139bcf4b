package main

import (
	"crypto/tls"

	"github.com/callboard-rpc/callboard"
)

func init() { known["callboard"] = ours{} }

type ours struct{}

func (ours) Name() string { return "callboard" }

func (ours) NewServer(c *tls.Config, streams int) Server {
	opts := []callboard.ServerOption{callboard.Creds(transportCredentials(c))}
	if streams > defaultStreams {
		opts = append(opts, callboard.MaxConcurrentStreams(uint32(streams)))
	}
	return callboard.NewServer(opts...)
}

// defaultStreams is what a server takes without being asked.
const defaultStreams = 1000

func (ours) NewClient(to route, c *tls.Config) (Client, error) {
	creds := callboard.WithTransportCredentials(transportCredentials(c))
	if to.policy == "" {
		return callboard.NewClient("passthrough:///"+to.addrs[0], creds)
	}
	return callboard.NewClient(routeTarget, creds,
		callboard.WithResolvers(to.resolver()), callboard.WithDefaultServiceConfig(to.serviceConfig()))
}
