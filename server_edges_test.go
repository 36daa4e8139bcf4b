package callboard_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callboard-rpc/callboard"
)

// A path that names no service does not reach UnknownServiceHandler.
func TestUnknownServiceHandlerGetsMethodsOnly(t *testing.T) {
	forward := func(any, grpc.ServerStream) error { return nil }
	codes := func(srv server) (got []string) {
		cc := dialTheirs(t, serve(t, srv))
		for _, path := range []string{"/foo", "//", "/a/b"} {
			st, err := cc.NewStream(soon(t), bidiDesc, path)
			if err != nil {
				t.Fatal(err)
			}
			_ = st.SendMsg(wrapperspb.String(""))
			got = append(got, path+" "+code(st.RecvMsg(new(text))))
		}
		return got
	}
	want := codes(grpc.NewServer(grpc.UnknownServiceHandler(forward)))
	got := codes(newSystem(t).NewServer(callboard.UnknownServiceHandler(forward)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-grpc-go +callboard:\n%s", diff)
	}
}
