package callboard

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/callboard-rpc/callboard/balancer"
	"github.com/callboard-rpc/callboard/codec/header"
	"github.com/callboard-rpc/callboard/stream"
)

// addCredentials asks the per-RPC credentials of channel and call for their
// metadata. Those that demand transport security get none of it on a
// connection that has none.
func (cc *ClientConn) addCredentials(ctx context.Context, r *header.Request, info *callInfo, ref balancer.Conn) error {
	ci := ref.Info()
	if ci == nil {
		return errNotUp
	}
	uri := audience(r.Authority, r.Method)
	ctx = credentials.NewContextWithRequestInfo(ctx, credentials.RequestInfo{Method: r.Method, AuthInfo: ci.AuthInfo})
	for _, p := range cc.opts.perRPC {
		if err := addOne(ctx, r, p, uri, ci, codes.Unauthenticated); err != nil {
			return err
		}
	}
	if info.creds == nil {
		return nil
	}
	return addOne(ctx, r, info.creds, uri, ci, codes.Internal)
}

// addOne adds one credentials' metadata. failed is the code where they fail
// without a status: grpc-go's differs between a channel's and a call's.
func addOne(ctx context.Context, r *header.Request, p credentials.PerRPCCredentials, uri string, ci *stream.ConnInfo, failed codes.Code) error {
	if p.RequireTransportSecurity() {
		if err := credentials.CheckSecurityLevel(ci.AuthInfo, credentials.PrivacyAndIntegrity); err != nil {
			return status.Errorf(codes.Unauthenticated, "per-RPC credentials demand transport security: %v", err)
		}
	}
	md, err := p.GetRequestMetadata(ctx, uri)
	if err != nil {
		return credentialsError(err, failed)
	}
	for k, v := range md {
		k = strings.ToLower(k)
		if err := header.ValidatePair(k, v); err != nil {
			return status.Errorf(codes.Internal, "per-RPC credentials: %v", err)
		}
		r.Extra = append(r.Extra, k, v)
	}
	return nil
}

// credentialsError restricts what credentials can say to codes that are not
// for the application (gRFC A54).
func credentialsError(err error, failed codes.Code) error {
	st, ok := status.FromError(err)
	if !ok {
		return status.Errorf(failed, "per-RPC credentials: %v", err)
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
// However the service is reached, its name begins with https.
func audience(authority, method string) string {
	service := method
	if i := strings.LastIndexByte(method, '/'); i > 0 {
		service = method[:i]
	}
	return "https://" + strings.TrimSuffix(authority, ":443") + service
}

// validateAuthority lets a call name another authority only if the connection's
// credentials vouch for it (gRFC A81): a peer that proved one name must not be
// sent what is meant for another.
func validateAuthority(ci *stream.ConnInfo, authority string) error {
	if ci == nil {
		return errNotUp
	}
	v, ok := ci.AuthInfo.(credentials.AuthorityValidator)
	if !ok {
		kind := "none"
		if ci.AuthInfo != nil {
			kind = ci.AuthInfo.AuthType()
		}
		return status.Errorf(codes.Unavailable, "credentials of type %s cannot validate the call's authority %q", kind, authority)
	}
	if err := v.ValidateAuthority(authority); err != nil {
		return status.Errorf(codes.Unavailable, "the call's authority %q: %v", authority, err)
	}
	return nil
}

var errNotUp = status.Error(codes.Unavailable, "the connection is not up")

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
