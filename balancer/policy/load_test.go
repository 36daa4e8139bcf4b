package policy

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// orcaMessage is xds.data.orca.v3.OrcaLoadReport, for protobuf to write and
// read in comparison.
func orcaMessage(t testing.TB) protoreflect.MessageDescriptor {
	t.Helper()
	const pkg = "xds.data.orca.v3"
	report := &descriptorpb.DescriptorProto{Name: proto.String("OrcaLoadReport")}
	field := func(name string, n int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(n), Type: kind.Enum(),
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
	}
	double := descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
	report.Field = []*descriptorpb.FieldDescriptorProto{
		field("cpu_utilization", 1, double),
		field("mem_utilization", 2, double),
		field("rps", 3, descriptorpb.FieldDescriptorProto_TYPE_UINT64),
		field("rps_fractional", 6, double),
		field("eps", 7, double),
		field("application_utilization", 9, double),
	}
	for name, n := range map[string]int32{"RequestCost": 4, "Utilization": 5, "NamedMetrics": 8} {
		report.NestedType = append(report.NestedType, &descriptorpb.DescriptorProto{
			Name:    proto.String(name + "Entry"),
			Field:   []*descriptorpb.FieldDescriptorProto{field("key", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING), field("value", 2, double)},
			Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
		})
		snake := map[string]string{"RequestCost": "request_cost", "Utilization": "utilization", "NamedMetrics": "named_metrics"}[name]
		f := field(snake, n, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE)
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		f.TypeName = proto.String("." + pkg + ".OrcaLoadReport." + name + "Entry")
		report.Field = append(report.Field, f)
	}
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("orca.proto"), Package: proto.String(pkg), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{report},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fd.Messages().ByName("OrcaLoadReport")
}

// loadOf reads the message as protobuf sees it.
func loadOf(m *dynamicpb.Message) *Load {
	fields := m.Descriptor().Fields()
	number := func(name protoreflect.Name) float64 { return m.Get(fields.ByName(name)).Float() }
	table := func(name protoreflect.Name) (to map[string]float64) {
		m.Get(fields.ByName(name)).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			if to == nil {
				to = map[string]float64{}
			}
			to[k.String()] = v.Float()
			return true
		})
		return to
	}
	return &Load{
		CPU: number("cpu_utilization"), Memory: number("mem_utilization"), Application: number("application_utilization"),
		QPS: number("rps_fractional"), EPS: number("eps"),
		Utilization: table("utilization"), RequestCost: table("request_cost"), NamedMetrics: table("named_metrics"),
	}
}

// fullLoad is a serialised report with something in every field.
func fullLoad() []byte {
	var b []byte
	for n, v := range map[protowire.Number]float64{1: 0.5, 2: 0.25, 6: 100, 7: 2, 9: 1.5} {
		b = protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), 7)
	for _, n := range []protowire.Number{4, 5, 8} {
		e := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "k")
		e = protowire.AppendFixed64(protowire.AppendTag(e, 2, protowire.Fixed64Type), math.Float64bits(float64(n)))
		b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), e)
	}
	return b
}

func TestLoadOfTrailer(t *testing.T) {
	want := &Load{
		CPU: 0.5, Memory: 0.25, Application: 1.5, QPS: 100, EPS: 2,
		RequestCost: map[string]float64{"k": 4}, Utilization: map[string]float64{"k": 5}, NamedMetrics: map[string]float64{"k": 8},
	}
	tests := map[string]struct {
		md   metadata.MD
		want *Load
		err  error
	}{
		"none":      {metadata.Pairs("a", "b"), nil, nil},
		"one":       {metadata.MD{LoadKey: {string(fullLoad())}}, want, nil},
		"empty":     {metadata.MD{LoadKey: {""}}, &Load{}, nil},
		"two":       {metadata.MD{LoadKey: {"", ""}}, nil, nil},
		"malformed": {metadata.MD{LoadKey: {"\x09"}}, nil, errLoad},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := LoadOf(tc.md)
			if diff := cmp.Diff(tc.want, got); diff != "" || !errors.Is(err, tc.err) {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

// FuzzParseLoad compares with protobuf: the same is refused, and the same read.
func FuzzParseLoad(f *testing.F) {
	f.Add(fullLoad())
	f.Add([]byte("\x22\x03\x0a\x01\xff"))
	f.Add([]byte("\x2a\x00\x2a\x02\x0a\x00"))
	f.Add([]byte("\x0d\x00\x00\x00\x00\x0b\x0c"))
	md := orcaMessage(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := dynamicpb.NewMessage(md)
		wantErr := proto.Unmarshal(b, m)
		got, err := ParseLoad(b)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%v, protobuf: %v", err, wantErr)
		}
		if err != nil {
			if !errors.Is(err, errLoad) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		if diff := cmp.Diff(loadOf(m), got, cmpopts.EquateNaNs()); diff != "" {
			t.Fatal(diff)
		}
	})
}
