package callboard

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/callboard-rpc/callboard/codec"
)

// SetSendCompressor sets the compressor of the response; ctx is the handler's.
// It replaces the one the request came with. "identity" turns compression off.
// On an RPC that grpc-go serves it is grpc.SetSendCompressor.
//
// Errors: the header was sent already, the name is not registered, or the
// client does not read it.
func SetSendCompressor(ctx context.Context, name string) error {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(*serverCall)
	if !ok {
		return grpc.SetSendCompressor(ctx, name)
	}
	c := codec.CompressorFor(name)
	if name != encoding.Identity {
		if c == nil {
			return fmt.Errorf("callboard: set send compressor: %q is not registered", name)
		}
		if !accepts(s.in.AcceptEncoding, name) {
			return fmt.Errorf("callboard: set send compressor: the client does not read %q", name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.headed || s.finished {
		return errors.New("callboard: set send compressor: the response's header was sent already")
	}
	s.deflater, s.encoding, s.chosen = c, name, true
	if c == nil {
		s.encoding = ""
	}
	return nil
}

// ClientSupportedCompressors lists what the client says it reads
// (grpc-accept-encoding); ctx is the handler's. On an RPC that grpc-go serves
// it is grpc.ClientSupportedCompressors.
func ClientSupportedCompressors(ctx context.Context) ([]string, error) {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(*serverCall)
	if !ok {
		return grpc.ClientSupportedCompressors(ctx)
	}
	var names []string
	for name := range strings.SplitSeq(s.in.AcceptEncoding, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// accepts looks name up in a comma-separated list.
func accepts(list, name string) bool {
	for have := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(have) == name {
			return true
		}
	}
	return false
}
