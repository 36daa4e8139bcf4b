package peer

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// GRPCGo is google.golang.org/grpc.
func GRPCGo() Stack {
	return Stack{
		Name:              "grpc-go",
		NewServer:         func(cfg ServerConfig) Server { return grpc.NewServer(grpcServerOptions(cfg)...) },
		NewClient:         newGRPCClient,
		SetSendCompressor: grpc.SetSendCompressor,
		Prepare: func(st Stream, m any) (any, error) {
			p := new(grpc.PreparedMsg)
			return p, p.Encode(st, m)
		},
	}
}

func grpcServerOptions(cfg ServerConfig) []grpc.ServerOption {
	var opts []grpc.ServerOption
	if cfg.Creds != nil {
		opts = append(opts, grpc.Creds(cfg.Creds))
	}
	if cfg.Stats != nil {
		opts = append(opts, grpc.StatsHandler(cfg.Stats))
	}
	if cfg.MaxReceive > 0 {
		opts = append(opts, grpc.MaxRecvMsgSize(cfg.MaxReceive))
	}
	return opts
}

func newGRPCClient(target string, cfg ClientConfig) (Client, error) {
	creds := cfg.Creds
	if creds == nil {
		creds = insecure.NewCredentials()
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
	if cfg.Stats != nil {
		opts = append(opts, grpc.WithStatsHandler(cfg.Stats))
	}
	if cfg.Authority != "" {
		opts = append(opts, grpc.WithAuthority(cfg.Authority))
	}
	if cfg.ServiceConfig != "" {
		opts = append(opts, grpc.WithDefaultServiceConfig(cfg.ServiceConfig))
	}
	if cfg.MaxReceive > 0 {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxReceive)))
	}
	return grpc.NewClient(target, opts...)
}
