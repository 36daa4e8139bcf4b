// Command mkcerts writes the test CA and the certificates it signs. It is run
// by go generate and its output is committed; the validity is long enough that
// nobody has to run it again.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"log"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

func main() {
	dir := flag.String("dir", "testdata", "where the .pem files go")
	flag.Parse()

	ca := template("callboard test CA")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	caKey := newKey()
	write(*dir, "ca.pem", "CERTIFICATE", sign(ca, ca, caKey.Public(), caKey), 0o644)

	server := template("*.test.google.fr")
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames = []string{"foo.test.google.fr", "*.test.google.fr", "waterzooi.test.google.be", "localhost"}
	server.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	issue(*dir, "server", server, ca, caKey)

	client := template("callboard test client")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	client.URIs = []*url.URL{{Scheme: "spiffe", Host: "callboard.test", Path: "/client"}}
	issue(*dir, "client", client, ca, caKey)
}

// template is valid from 2020 to 2120.
func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	check(err)
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name, Organization: []string{"callboard tests, not to be trusted"}},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
}

func issue(dir, name string, leaf, ca *x509.Certificate, caKey crypto.Signer) {
	key := newKey()
	write(dir, name+".pem", "CERTIFICATE", sign(leaf, ca, key.Public(), caKey), 0o644)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	write(dir, name+".key.pem", "PRIVATE KEY", der, 0o600)
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

func sign(leaf, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) []byte {
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, pub, key)
	check(err)
	return der
}

func write(dir, name, kind string, der []byte, mode os.FileMode) {
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	check(os.WriteFile(filepath.Join(dir, name), b, mode))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
