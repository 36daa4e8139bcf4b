package interop

import (
	"crypto/tls"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
)

//go:generate go run ./internal/mkcerts -dir testdata

// The test CA signs server.pem (foo.test.google.fr, *.test.google.fr,
// waterzooi.test.google.be, localhost, 127.0.0.1, ::1) and client.pem
// (spiffe://callboard.test/client). The keys are public: never trust this CA
// outside a test.
//
//go:embed testdata/*.pem
var pems embed.FS

// ServerName is a name the test server certificate is valid for, the one the
// official client passes as --server_host_override.
const ServerName = "foo.test.google.fr"

// read returns the file's bytes, or those of the embedded default when path is
// empty.
func read(path, fallback string) ([]byte, error) {
	if path != "" {
		return os.ReadFile(path)
	}
	return pems.ReadFile("testdata/" + fallback)
}

// ServerIdentity loads a server certificate and key; an empty path means the
// embedded test certificate.
func ServerIdentity(certFile, keyFile string) (tls.Certificate, error) {
	return identity(certFile, keyFile, "server.pem", "server.key.pem")
}

// ClientIdentity returns the embedded test client certificate.
func ClientIdentity() (tls.Certificate, error) {
	return identity("", "", "client.pem", "client.key.pem")
}

func identity(certFile, keyFile, cert, key string) (tls.Certificate, error) {
	if (certFile == "") != (keyFile == "") {
		return tls.Certificate{}, errors.New("certificate and key must be given together")
	}
	c, err := read(certFile, cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	k, err := read(keyFile, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(c, k)
}

// Roots loads CA certificates; an empty path means the embedded test CA.
func Roots(caFile string) (*x509.CertPool, error) {
	b, err := read(caFile, "ca.pem")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("no certificate in %q", caFile)
	}
	return pool, nil
}

// ServerTLS returns server credentials. With clientCAs set, clients must
// present a certificate signed by one of them.
func ServerTLS(id tls.Certificate, clientCAs *x509.CertPool) credentials.TransportCredentials {
	cfg := &tls.Config{Certificates: []tls.Certificate{id}, MinVersion: tls.VersionTLS12}
	if clientCAs != nil {
		cfg.ClientCAs, cfg.ClientAuth = clientCAs, tls.RequireAndVerifyClientCert
	}
	return credentials.NewTLS(cfg)
}

// ClientTLS returns client credentials. roots nil means the platform's, an
// empty serverName means the host of the target.
func ClientTLS(roots *x509.CertPool, serverName string, ids ...tls.Certificate) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{
		RootCAs:      roots,
		ServerName:   serverName,
		Certificates: ids,
		MinVersion:   tls.VersionTLS12,
	})
}
