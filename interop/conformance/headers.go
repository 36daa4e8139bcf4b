package conformance

import (
	"encoding/base64"
	"strings"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/callboard-rpc/callboard/interop/conformance/conformancev1"
)

// Headers puts metadata into the suite's form, where binary values are base64.
func Headers(md metadata.MD) []*pb.Header {
	headers := make([]*pb.Header, 0, len(md))
	for k, values := range md {
		h := &pb.Header{Name: k, Value: make([]string, 0, len(values))}
		for _, v := range values {
			if isBinary(k) {
				v = base64.RawStdEncoding.EncodeToString([]byte(v))
			}
			h.Value = append(h.Value, v)
		}
		headers = append(headers, h)
	}
	return headers
}

// Metadata is the reverse of Headers. A binary value that is not base64 is
// taken as it is.
func Metadata(headers []*pb.Header) metadata.MD {
	md := metadata.MD{}
	for _, h := range headers {
		k := strings.ToLower(h.GetName())
		for _, v := range h.GetValue() {
			if isBinary(k) {
				if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(v, "=")); err == nil {
					v = string(b)
				}
			}
			md.Append(k, v)
		}
	}
	return md
}

func isBinary(key string) bool { return strings.HasSuffix(key, "-bin") }

// Error puts the status of err into the suite's form, nil for OK.
func Error(err error) *pb.Error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	message := st.Message()
	return &pb.Error{
		Code:    pb.Code(st.Code()),
		Message: &message,
		Details: st.Proto().GetDetails(),
	}
}

// Status is the reverse of Error.
func Status(e *pb.Error) error {
	if e == nil {
		return nil
	}
	return status.ErrorProto(&statuspb.Status{
		Code:    int32(e.GetCode()),
		Message: e.GetMessage(),
		Details: e.GetDetails(),
	})
}
