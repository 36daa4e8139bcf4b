package main

import (
	"crypto/tls"

	"github.com/callboard-rpc/callboard"
)

func init() { known["callboard"] = ours{} }

type ours struct{}

func (ours) Name() string { return "callboard" }

func (ours) NewServer(c *tls.Config) Server {
	return callboard.NewServer(callboard.Creds(transportCredentials(c)))
}

func (ours) NewClient(addr string, c *tls.Config) (Client, error) {
	return callboard.NewClient("passthrough:///"+addr, callboard.WithTransportCredentials(transportCredentials(c)))
}
