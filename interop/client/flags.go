package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/callboard-rpc/callboard/interop/cases"
	"github.com/callboard-rpc/callboard/interop/peer"
)

// options are the official flags of an interop client, and ours.
type options struct {
	host, hostOverride, caFile     string
	port                           int
	useTLS, useTestCA              bool
	testCase                       string
	serviceConfig                  string
	metadata                       []string // keys and values in turn
	soak                           cases.Soak
	timeout                        time.Duration
	implementation                 string
	list                           bool
	useALTS                        bool
	credentialsType, keyFile       string
	oauthScope, account, c2pDomain string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var additional string
	fs := flag.NewFlagSet("client", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.host, "server_host", "localhost", "server host name")
	fs.IntVar(&o.port, "server_port", 10000, "server port")
	fs.StringVar(&o.hostOverride, "server_host_override", "", "host name to claim to connect to, for TLS and :authority")
	fs.BoolVar(&o.useTLS, "use_tls", false, "connect with TLS")
	fs.BoolVar(&o.useTestCA, "use_test_ca", false, "trust --ca_file (default: the test CA of this repository) instead of the platform's roots")
	fs.StringVar(&o.caFile, "ca_file", "", "CA certificates for --use_test_ca")
	fs.StringVar(&o.testCase, "test_case", "large_unary", "test case to run; --list names them")
	fs.StringVar(&o.serviceConfig, "service_config_json", "", "default service config")
	fs.StringVar(&additional, "additional_metadata", "", "metadata for each call: key:value;key:value")

	fs.IntVar(&o.soak.Iterations, "soak_iterations", 10, "calls of a soak test")
	fs.IntVar(&o.soak.MaxFailures, "soak_max_failures", 0, "calls of a soak test that may fail or be too slow")
	fs.IntVar(&o.soak.Workers, "soak_num_threads", 1, "goroutines of a soak test")
	fs.IntVar(&o.soak.RequestSize, "soak_request_size", 271828, "request payload of a soak call in bytes")
	fs.IntVar(&o.soak.ResponseSize, "soak_response_size", 314159, "response payload of a soak call in bytes")
	latency := fs.Int("soak_per_iteration_max_acceptable_latency_ms", 1000, "milliseconds a soak call may take")
	overall := fs.Int("soak_overall_timeout_seconds", 10, "seconds after which a soak test fails")
	interval := fs.Int("soak_min_time_ms_between_rpcs", 0, "least milliseconds between two soak calls of a goroutine")

	fs.DurationVar(&o.timeout, "timeout", time.Minute, "bound on the whole test case")
	fs.StringVar(&o.implementation, "implementation", peer.Default, "gRPC implementation to test")
	fs.BoolVar(&o.list, "list", false, "print the names of the test cases and exit")

	fs.BoolVar(&o.useALTS, "use_alts", false, "not supported")
	fs.StringVar(&o.credentialsType, "custom_credentials_type", "", "not supported")
	fs.StringVar(&o.keyFile, "service_account_key_file", "", "not supported")
	fs.StringVar(&o.oauthScope, "oauth_scope", "", "not supported")
	fs.StringVar(&o.account, "default_service_account", "", "not supported")
	fs.StringVar(&o.c2pDomain, "google_c2p_universe_domain", "", "not supported")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.soak.MaxLatency = time.Duration(*latency) * time.Millisecond
	o.soak.OverallTimeout = time.Duration(*overall) * time.Second
	o.soak.MinInterval = time.Duration(*interval) * time.Millisecond
	if strings.HasSuffix(o.testCase, "_soak") {
		o.timeout = max(o.timeout, o.soak.OverallTimeout+time.Second)
	}
	var err error
	if o.metadata, err = parseMetadata(additional); err != nil {
		return o, err
	}
	return o, o.refuse()
}

// refuse names the official flags that ask for what is not here: taking them
// silently would test something else than was asked for.
func (o options) refuse() error {
	switch {
	case o.useALTS:
		return errors.New("--use_alts is not supported: ALTS runs on Google Cloud only")
	case o.credentialsType != "":
		return fmt.Errorf("--custom_credentials_type=%s is not supported: it needs Google Cloud", o.credentialsType)
	case o.keyFile+o.oauthScope+o.account != "":
		return errors.New("--service_account_key_file, --oauth_scope and --default_service_account are not supported: they need Google credentials")
	case o.c2pDomain != "":
		return errors.New("--google_c2p_universe_domain is not supported: it needs xDS on Google Cloud")
	case o.soak.Workers < 1 || o.soak.Iterations < 1:
		return errors.New("--soak_iterations and --soak_num_threads must be positive")
	}
	return nil
}

// parseMetadata splits "k1:v1;k2:v2" into keys and values. A value may hold
// anything but a semicolon.
func parseMetadata(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	var kv []string
	for pair := range strings.SplitSeq(s, ";") {
		k, v, ok := strings.Cut(pair, ":")
		if !ok {
			return nil, fmt.Errorf("--additional_metadata: %q is not key:value", pair)
		}
		kv = append(kv, k, v)
	}
	return kv, nil
}
