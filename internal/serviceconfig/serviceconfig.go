// Package serviceconfig reads gRPC's JSON service config and matches methods
// to it (gRPC service_config.md). Of a method it knows the timeout,
// wait-for-ready and message limits.
package serviceconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/serviceconfig"
)

// Config is a parsed service config.
type Config struct {
	serviceconfig.Config // marks the type for resolvers
	methods              map[string]*Method
}

// Method is what the config says of a method. Nil fields say nothing.
type Method struct {
	WaitForReady *bool
	Timeout      *time.Duration
	MaxRequest   *int // octets
	MaxResponse  *int // octets
}

type jsonConfig struct {
	MethodConfig []jsonMethod `json:"methodConfig"`
}

type jsonMethod struct {
	Name         []jsonName `json:"name"`
	WaitForReady *bool      `json:"waitForReady"`
	Timeout      *string    `json:"timeout"`
	MaxRequest   *jsonInt   `json:"maxRequestMessageBytes"`
	MaxResponse  *jsonInt   `json:"maxResponseMessageBytes"`
}

type jsonName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

// jsonInt is an integer that protobuf's JSON may write as a string.
type jsonInt int

// UnmarshalJSON implements json.Unmarshaler.
func (i *jsonInt) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%s is not a size", b)
	}
	*i = jsonInt(min(n, math.MaxInt32))
	return nil
}

// Parse reads a service config. Unknown fields are ignored, as the
// specification demands.
//
// Errors: JSON that is not valid, a name given twice, a method without a
// service, a timeout that is no duration.
func Parse(js string) (*Config, error) {
	var in jsonConfig
	if err := json.Unmarshal([]byte(js), &in); err != nil {
		return nil, fmt.Errorf("service config: %w", err)
	}
	c := &Config{methods: map[string]*Method{}}
	for i, m := range in.MethodConfig {
		if err := c.add(&m); err != nil {
			return nil, fmt.Errorf("service config: methodConfig[%d]: %w", i, err)
		}
	}
	return c, nil
}

func (c *Config) add(in *jsonMethod) error {
	m := &Method{WaitForReady: in.WaitForReady, MaxRequest: (*int)(in.MaxRequest), MaxResponse: (*int)(in.MaxResponse)}
	if in.Timeout != nil {
		d, err := parseDuration(*in.Timeout)
		if err != nil {
			return err
		}
		m.Timeout = &d
	}
	for _, n := range in.Name {
		if n.Service == "" && n.Method != "" {
			return fmt.Errorf("method %q without a service", n.Method)
		}
		key := "/"
		if n.Service != "" {
			key = "/" + n.Service + "/" + n.Method
		}
		if _, taken := c.methods[key]; taken {
			return fmt.Errorf("name %q given twice", key)
		}
		c.methods[key] = m
	}
	return nil
}

// Method finds what is said of "/service/method": by the exact name, else by
// the service, else by default. It is nil when nothing is.
func (c *Config) Method(path string) *Method {
	if m, ok := c.methods[path]; ok {
		return m
	}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		if m, ok := c.methods[path[:i+1]]; ok {
			return m
		}
	}
	return c.methods["/"]
}

var errDuration = errors.New("not a duration in seconds, like \"1.5s\"")

// parseDuration reads protobuf's JSON form of a Duration.
func parseDuration(s string) (time.Duration, error) {
	num, ok := strings.CutSuffix(s, "s")
	if !ok {
		return 0, fmt.Errorf("timeout %q: %w", s, errDuration)
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("timeout %q: %w", s, errDuration)
	}
	if limit := float64(math.MaxInt64) / 1e9; math.Abs(f) >= limit {
		return time.Duration(math.Copysign(math.MaxInt64, f)), nil
	}
	return time.Duration(math.Round(f * 1e9)), nil
}
