package policy

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
)

// LoadKey is the trailer that carries an RPC's load report (gRFC A51).
const LoadKey = "endpoint-load-metrics-bin"

// errLoad says that a load report is not a valid message.
var errLoad = errors.New("malformed load report")

// LoadOf reads the load report in an RPC's trailer, whose binary values are
// decoded already. It is nil if there is none, or more than one.
func LoadOf(trailer metadata.MD) (*Load, error) {
	v := trailer[LoadKey]
	if len(v) != 1 {
		return nil, nil
	}
	return ParseLoad([]byte(v[0]))
}

// Field numbers of xds.data.orca.v3.OrcaLoadReport.
const (
	loadCPU          protowire.Number = 1
	loadMemory       protowire.Number = 2
	loadRequestCost  protowire.Number = 4
	loadUtilization  protowire.Number = 5
	loadQPS          protowire.Number = 6
	loadEPS          protowire.Number = 7
	loadNamedMetrics protowire.Number = 8
	loadApplication  protowire.Number = 9
)

// ParseLoad reads a serialised xds.data.orca.v3.OrcaLoadReport. Nothing is said
// about the values: they may be negative, infinite or not a number.
func ParseLoad(b []byte) (*Load, error) {
	l := &Load{}
	err := eachField(b, func(n protowire.Number, t protowire.Type, v []byte) error {
		switch t {
		case protowire.Fixed64Type:
			if to := l.scalar(n); to != nil {
				*to = double(v)
			}
		case protowire.BytesType:
			if to := l.table(n); to != nil {
				return loadEntry(v, to)
			}
		default: // a field we do not know
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Load) scalar(n protowire.Number) *float64 {
	switch n {
	case loadCPU:
		return &l.CPU
	case loadMemory:
		return &l.Memory
	case loadQPS:
		return &l.QPS
	case loadEPS:
		return &l.EPS
	case loadApplication:
		return &l.Application
	default:
		return nil
	}
}

func (l *Load) table(n protowire.Number) *map[string]float64 {
	switch n {
	case loadRequestCost:
		return &l.RequestCost
	case loadUtilization:
		return &l.Utilization
	case loadNamedMetrics:
		return &l.NamedMetrics
	default:
		return nil
	}
}

// loadEntry reads one entry of a map from string to double.
func loadEntry(b []byte, to *map[string]float64) error {
	key, value := "", 0.0
	err := eachField(b, func(n protowire.Number, t protowire.Type, v []byte) error {
		switch {
		case n == 1 && t == protowire.BytesType:
			if !utf8.Valid(v) {
				return fmt.Errorf("%w: name is not UTF-8", errLoad)
			}
			key = string(v)
		case n == 2 && t == protowire.Fixed64Type:
			value = double(v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if *to == nil {
		*to = make(map[string]float64)
	}
	(*to)[key] = value
	return nil
}

// eachField calls do with the fields of a message: the eight octets of a
// double, the content of a string or message; what else there is in its raw
// form.
func eachField(b []byte, do func(protowire.Number, protowire.Type, []byte) error) error {
	for len(b) > 0 {
		n, t, size := protowire.ConsumeTag(b)
		if size < 0 {
			return fmt.Errorf("%w: %w", errLoad, protowire.ParseError(size))
		}
		if n > protowire.MaxValidNumber {
			return fmt.Errorf("%w: field %d", errLoad, n)
		}
		b = b[size:]
		size = protowire.ConsumeFieldValue(n, t, b)
		if size < 0 {
			return fmt.Errorf("%w: %w", errLoad, protowire.ParseError(size))
		}
		v := b[:size]
		if t == protowire.BytesType {
			v, _ = protowire.ConsumeBytes(v)
		}
		if err := do(n, t, v); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func double(v []byte) float64 {
	bits, _ := protowire.ConsumeFixed64(v)
	return math.Float64frombits(bits)
}
