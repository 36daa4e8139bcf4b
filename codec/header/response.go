package header

import (
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callboard-rpc/callboard/codec/frame"
)

// Response is the header block that begins a server's answer.
type Response struct {
	ContentSubtype string // the codec's name; empty: proto
	Encoding       string // the compressor's name; empty: none
	AcceptEncoding string // comma list of compressors we can read; usually left out
	Metadata       metadata.MD
}

var _ frame.FieldSource = (*Response)(nil)

// AppendFields lists the fields.
func (r *Response) AppendFields(dst []frame.Field) []frame.Field {
	dst = append(dst,
		frame.Field{Name: nameStatus, Value: formatHTTPStatus(httpOK)},
		frame.Field{Name: nameContentType, Value: ContentType(r.ContentSubtype)},
	)
	dst = appendIfSet(dst, nameEncoding, r.Encoding)
	dst = appendIfSet(dst, nameAcceptEncoding, r.AcceptEncoding)
	return appendMetadata(dst, r.Metadata, "")
}

// Trailer is the header block that ends a server's answer: behind the messages,
// or alone (Only) when there is nothing else to say.
type Trailer struct {
	Code     codes.Code
	Message  string
	Details  []byte // a serialized google.rpc.Status, or nil
	Metadata metadata.MD

	Only           bool   // trailers-only: the block is the whole response
	ContentSubtype string // with Only
	HTTPStatus     int    // with Only; 0 is 200
	AcceptEncoding string // with Only: told to a client whose compressor we lack
}

var _ frame.FieldSource = (*Trailer)(nil)

// SetStatus takes code, message and details from st; nil is OK.
func (t *Trailer) SetStatus(st *status.Status) {
	t.Code, t.Message, t.Details = st.Code(), st.Message(), nil
	if t.Code == codes.OK {
		return // details are only allowed with an error
	}
	p := st.Proto()
	if len(p.GetDetails()) == 0 {
		return
	}
	if b, err := proto.Marshal(p); err == nil {
		t.Details = b
	}
}

// AppendFields lists the fields. Details take the place of an application's
// own grpc-status-details-bin.
func (t *Trailer) AppendFields(dst []frame.Field) []frame.Field {
	if t.Only {
		dst = append(dst,
			frame.Field{Name: nameStatus, Value: formatHTTPStatus(t.HTTPStatus)},
			frame.Field{Name: nameContentType, Value: ContentType(t.ContentSubtype)},
		)
		dst = appendIfSet(dst, nameAcceptEncoding, t.AcceptEncoding)
	}
	dst = append(dst, frame.Field{Name: nameGRPCStatus, Value: strconv.FormatUint(uint64(t.Code), 10)})
	dst = appendIfSet(dst, nameGRPCMessage, EncodeMessage(t.Message))
	omit := ""
	if len(t.Details) > 0 {
		dst = append(dst, frame.Field{Name: nameDetails, Value: EncodeBin(t.Details)})
		omit = nameDetails
	}
	return appendMetadata(dst, t.Metadata, omit)
}
