package main

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"official TLS flags", []string{"--server_host=127.0.0.1", "--server_port=1", "--use_tls=true", "--use_test_ca=true", "--server_host_override=foo.test.google.fr", "--test_case=empty_unary"}, true},
		{"official soak flags", []string{"--test_case=rpc_soak", "--soak_iterations=4", "--soak_num_threads=2", "--soak_overall_timeout_seconds=90"}, true},
		{"ALTS", []string{"--use_alts=true"}, false},
		{"Google credentials", []string{"--custom_credentials_type=google_default_credentials"}, false},
		{"service account", []string{"--service_account_key_file=k.json"}, false},
		{"metadata without a colon", []string{"--additional_metadata=a"}, false},
		{"no workers", []string{"--soak_num_threads=0"}, false},
		{"stray argument", []string{"empty_unary"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := parse(tc.args, io.Discard); (err == nil) != tc.ok {
				t.Errorf("parse: %v, want success %v", err, tc.ok)
			}
		})
	}
}

func TestParseMetadata(t *testing.T) {
	got, err := parseMetadata("a:1;b:x:y")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a", "1", "b", "x:y"}, got); d != "" {
		t.Errorf("metadata (-want +got):\n%s", d)
	}
}
