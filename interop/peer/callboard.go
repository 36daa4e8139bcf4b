package peer

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callboard-rpc/callboard"
)

// Callboard is the implementation of this repository.
func Callboard() Stack {
	return Stack{
		Name:              "callboard",
		NewServer:         func(cfg ServerConfig) Server { return callboard.NewServer(serverOptions(cfg)...) },
		NewClient:         newClient,
		SetSendCompressor: callboard.SetSendCompressor,
		Prepare: func(st Stream, m any) (any, error) {
			p := new(callboard.PreparedMsg)
			return p, p.Encode(st, m)
		},
	}
}

func serverOptions(cfg ServerConfig) []callboard.ServerOption {
	var opts []callboard.ServerOption
	if cfg.Creds != nil {
		opts = append(opts, callboard.Creds(cfg.Creds))
	}
	if cfg.Stats != nil {
		opts = append(opts, callboard.StatsHandler(cfg.Stats))
	}
	if cfg.MaxReceive > 0 {
		opts = append(opts, callboard.MaxRecvMsgSize(cfg.MaxReceive))
	}
	return opts
}

func newClient(target string, cfg ClientConfig) (Client, error) {
	creds := cfg.Creds
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	opts := []callboard.DialOption{callboard.WithTransportCredentials(creds)}
	if cfg.Stats != nil {
		opts = append(opts, callboard.WithStatsHandler(cfg.Stats))
	}
	if cfg.Authority != "" {
		opts = append(opts, callboard.WithAuthority(cfg.Authority))
	}
	if cfg.ServiceConfig != "" {
		opts = append(opts, callboard.WithDefaultServiceConfig(cfg.ServiceConfig))
	}
	if cfg.MaxReceive > 0 {
		opts = append(opts, callboard.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxReceive)))
	}
	return callboard.NewClient(target, opts...)
}
