package serviceconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

type jsonConfig struct {
	LoadBalancingPolicy *string         `json:"loadBalancingPolicy"`
	LoadBalancingConfig json.RawMessage `json:"loadBalancingConfig"`
	MethodConfig        []jsonMethod    `json:"methodConfig"`
	RetryThrottling     *jsonThrottling `json:"retryThrottling"`
	HealthCheckConfig   *jsonHealth     `json:"healthCheckConfig"`
}

type jsonMethod struct {
	Name          []jsonName      `json:"name"`
	WaitForReady  *bool           `json:"waitForReady"`
	Timeout       json.RawMessage `json:"timeout"`
	MaxRequest    json.RawMessage `json:"maxRequestMessageBytes"`
	MaxResponse   json.RawMessage `json:"maxResponseMessageBytes"`
	RetryPolicy   *jsonRetry      `json:"retryPolicy"`
	HedgingPolicy *jsonHedging    `json:"hedgingPolicy"`
}

type jsonName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

type jsonHealth struct {
	ServiceName string `json:"serviceName"`
}

// Parse reads a service config. Unknown fields are ignored, as the
// specification demands.
//
// Errors say which field is wrong: JSON that is not valid, too long or too deep,
// a name given twice, a method without a service, a timeout that is no
// duration, a retry, hedging or throttling policy that gRFC A6 forbids.
func Parse(js string) (*Config, error) {
	c, err := parse(js)
	if err != nil {
		return nil, fmt.Errorf("service config: %w", err)
	}
	return c, nil
}

func parse(js string) (*Config, error) {
	if len(js) > MaxSize {
		return nil, fmt.Errorf("%d octets, allowed are %d", len(js), MaxSize)
	}
	if err := shallow(js); err != nil {
		return nil, err
	}
	var in *jsonConfig
	if err := json.Unmarshal([]byte(js), &in); err != nil {
		return nil, located(err)
	}
	if in == nil {
		return nil, errors.New("null is not a config")
	}
	c := &Config{LoadBalancing: in.LoadBalancingConfig, methods: map[string]*Method{}}
	if string(c.LoadBalancing) == "null" {
		c.LoadBalancing = nil
	}
	if in.LoadBalancingPolicy != nil {
		c.LoadBalancingPolicy = *in.LoadBalancingPolicy
	}
	if in.HealthCheckConfig != nil {
		c.HealthService = &in.HealthCheckConfig.ServiceName
	}
	for i := range in.MethodConfig {
		if err := c.add(&in.MethodConfig[i]); err != nil {
			return nil, fmt.Errorf("methodConfig[%d]: %w", i, err)
		}
	}
	if t := in.RetryThrottling; t != nil {
		th, err := t.throttling()
		if err != nil {
			return nil, fmt.Errorf("retryThrottling: %w", err)
		}
		c.Throttling = th
	}
	return c, nil
}

func (c *Config) add(in *jsonMethod) error {
	var r reading
	m := &Method{
		WaitForReady: in.WaitForReady,
		Timeout:      (*time.Duration)(read[duration](&r, "timeout", in.Timeout)),
		MaxRequest:   (*int)(read[size](&r, "maxRequestMessageBytes", in.MaxRequest)),
		MaxResponse:  (*int)(read[size](&r, "maxResponseMessageBytes", in.MaxResponse)),
	}
	err := r.err
	switch {
	case err != nil:
		return err
	case in.RetryPolicy != nil && in.HedgingPolicy != nil:
		return errors.New("retryPolicy and hedgingPolicy exclude each other")
	case in.RetryPolicy != nil:
		if m.Attempts, err = in.RetryPolicy.policy(); err != nil {
			return fmt.Errorf("retryPolicy: %w", err)
		}
	case in.HedgingPolicy != nil:
		if m.Attempts, err = in.HedgingPolicy.policy(); err != nil {
			return fmt.Errorf("hedgingPolicy: %w", err)
		}
	}
	for _, n := range in.Name {
		if n.Service == "" && n.Method != "" {
			return fmt.Errorf("name: method %q without a service", n.Method)
		}
		key := "/"
		if n.Service != "" {
			key = "/" + n.Service + "/" + n.Method
		}
		if _, taken := c.methods[key]; taken {
			return fmt.Errorf("name: %q is given twice", key)
		}
		c.methods[key] = m
	}
	return nil
}

// located says of an error in the JSON where it is, in the file's words.
func located(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%s: a JSON %s does not belong here", wrong.Field, wrong.Value)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON, at octet %d: %w", syntax.Offset, err)
	}
	return err
}

var errDepth = fmt.Errorf("more than %d arrays and objects in each other", MaxDepth)

// shallow refuses what nests too deep, before anything recurses into it.
func shallow(js string) error {
	depth, quoted := 0, false
	for i := 0; i < len(js); i++ {
		switch c := js[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > MaxDepth {
				return errDepth
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return nil
}
