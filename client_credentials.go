package callboard

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/conn"
	"github.com/callboard-rpc/callboard/stream"
)

// addCredentials asks the per-RPC credentials of channel and call for their
// metadata. Those that demand transport security get none of it on a
// connection that has none.
func (cc *ClientConn) addCredentials(ctx context.Context, r *header.Request, info *callInfo, ref conn.Ref) error {
	ci := ref.Info()
	if ci == nil {
		return status.Error(codes.Unavailable, "the connection is not up")
	}
	uri := audience(cc.scheme, r.Authority, r.Method)
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: r.Method, AuthInfo: ci.AuthInfo})
	for _, p := range cc.opts.perRPC {
		if err := addOne(ctx, r, p, uri, ci); err != nil {
			return err
		}
	}
	for _, p := range info.creds {
		if err := addOne(ctx, r, p, uri, ci); err != nil {
			return err
		}
	}
	return nil
}

func addOne(ctx context.Context, r *header.Request, p credentials.PerRPCCredentials, uri string, ci *stream.ConnInfo) error {
	if p.RequireTransportSecurity() {
		if err := credentials.CheckSecurityLevel(ci.AuthInfo, credentials.PrivacyAndIntegrity); err != nil || ci.AuthInfo == nil {
			return status.Errorf(codes.Unauthenticated, "per-RPC credentials demand transport security: %v", err)
		}
	}
	md, err := p.GetRequestMetadata(ctx, uri)
	if err != nil {
		return credentialsError(err)
	}
	for k, v := range md {
		r.Extra = append(r.Extra, strings.ToLower(k), v)
	}
	return nil
}

// credentialsError restricts what credentials can say to codes that are not
// for the application (gRFC A54).
func credentialsError(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return status.Errorf(codes.Unauthenticated, "per-RPC credentials: %v", err)
	}
	switch st.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition,
		codes.Aborted, codes.OutOfRange, codes.DataLoss, codes.OK:
		return status.Errorf(codes.Internal, "per-RPC credentials returned %v: %v", st.Code(), err)
	default:
		return st.Err()
	}
}

// audience is the service's URI, as JWT credentials want it.
func audience(scheme, authority, method string) string {
	service := method
	if i := strings.LastIndexByte(method, '/'); i > 0 {
		service = method[:i]
	}
	if scheme != "https" {
		scheme = "https" // an audience names the service, however it is reached
	}
	return scheme + "://" + strings.TrimSuffix(authority, ":443") + service
}

func validateMetadata(md metadata.MD) error {
	if err := header.Validate(md); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return nil
}

// peerOf is what the peer call option and peer.FromContext show.
func peerOf(ci *stream.ConnInfo) *peer.Peer {
	if ci == nil {
		return nil
	}
	return &peer.Peer{Addr: ci.Remote, LocalAddr: ci.Local, AuthInfo: ci.AuthInfo}
}
