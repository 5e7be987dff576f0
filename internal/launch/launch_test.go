package launch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/server"
)

const password = "the password of this test"

func config(t *testing.T) ServerConfig {
	return ServerConfig{
		DataDir: t.TempDir(), Listen: "127.0.0.1:0", NoSync: true, Version: "test",
		Admin: server.Admin{Username: "admin", PasswordHash: server.HashPassword(password)},
	}
}

// httpClient speaks one protocol only.
func httpClient(t *testing.T, conf *tls.Config, set func(*http.Protocols)) *http.Client {
	p := new(http.Protocols)
	set(p)
	tr := &http.Transport{Protocols: p, TLSClientConfig: conf}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (proto, body string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, res.StatusCode, err)
	}
	return res.Proto, string(b)
}

// ready waits until the server's loops run.
func ready(t *testing.T, c *http.Client, url string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		res, err := c.Get(url + "/readyz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAServerSpeaksAllProtocolsOnOnePort(t *testing.T) {
	c := config(t)
	s, err := StartServer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	one := httpClient(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) })
	two := httpClient(t, nil, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) })
	ready(t, one, s.URL)
	if proto, _ := get(t, one, s.URL+"/healthz"); proto != "HTTP/1.1" {
		t.Errorf("spoke %s", proto)
	}
	if proto, body := get(t, two, s.URL+"/healthz"); proto != "HTTP/2.0" || body != "ok\n" {
		t.Errorf("h2c: spoke %s, got %q", proto, body)
	}
	for name, x := range map[string]struct {
		c *http.Client
		o connect.ClientOption
	}{"connect": {one, connect.WithProtoJSON()}, "gRPC": {two, connect.WithGRPC()}, "gRPC-Web": {one, connect.WithGRPCWeb()}} {
		res, err := penstockv1connect.NewProjectServiceClient(x.c, s.URL, x.o).Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: password}))
		if err != nil || res.Msg.Token == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A stream ends with the server, which does not wait for it.
	in, err := penstockv1connect.NewProjectServiceClient(one, s.URL).Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: password}))
	if err != nil {
		t.Fatal(err)
	}
	req := connect.NewRequest(&penstockv1.WatchRequest{})
	req.Header().Set("Authorization", "Bearer "+in.Msg.Token)
	stream, err := penstockv1connect.NewWatchServiceClient(two, s.URL, connect.WithGRPC()).Watch(t.Context(), req)
	if err != nil || !stream.Receive() {
		t.Fatalf("watch: %v", errors.Join(err, stream.Err()))
	}
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("the stream: %v", stream.Err())
	}
	if _, err := one.Get(s.URL + "/healthz"); err == nil {
		t.Error("the port still answers")
	}
	// What it kept is there at the next start.
	s, err = StartServer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	me := connect.NewRequest(&penstockv1.WhoAmIRequest{})
	me.Header().Set("Authorization", "Bearer "+in.Msg.Token)
	if res, err := penstockv1connect.NewProjectServiceClient(one, s.URL).WhoAmI(t.Context(), me); err != nil || res.Msg.Name != "admin" {
		t.Errorf("the session behind a restart: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx); err != nil {
		t.Errorf("wait: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// certificate writes a certificate for the loopback address.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	keyDER, err2 := x509.MarshalPKCS8PrivateKey(key)
	cert, err3 := x509.ParseCertificate(der)
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	err4 := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	err5 := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	return certFile, keyFile, pool
}

func TestAServerBehindTLS(t *testing.T) {
	c := config(t)
	var pool *x509.CertPool
	c.CertFile, c.KeyFile, pool = certificate(t)
	s, err := StartServer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if !strings.HasPrefix(s.URL, "https://127.0.0.1:") {
		t.Errorf("URL %s", s.URL)
	}
	two := httpClient(t, &tls.Config{RootCAs: pool}, func(p *http.Protocols) { p.SetHTTP2(true) })
	if proto, _ := get(t, two, s.URL+"/healthz"); proto != "HTTP/2.0" {
		t.Errorf("spoke %s", proto)
	}
	one := httpClient(t, &tls.Config{RootCAs: pool}, func(p *http.Protocols) { p.SetHTTP1(true) })
	if proto, _ := get(t, one, s.URL+"/healthz"); proto != "HTTP/1.1" {
		t.Errorf("spoke %s", proto)
	}
	res, err := penstockv1connect.NewProjectServiceClient(two, s.URL).Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: "admin", Password: password}))
	if err != nil || !strings.Contains(res.Header().Get("Set-Cookie"), "; Secure") {
		t.Errorf("login over TLS: %v; the cookie must stay on TLS", err)
	}
	link := linkClient(&tls.Config{RootCAs: pool})
	defer link.CloseIdleConnections()
	if _, body := get(t, link, s.URL+"/healthz"); body != "ok\n" {
		t.Errorf("the agent's link got %q", body)
	}
}

func TestAServerThatCannotStartSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	c := config(t)
	c.Listen = taken.Addr().String()
	_, err = StartServer(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), c.Listen) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a port that is taken: %v", err)
	}
	c.Listen, c.CertFile, c.KeyFile = "127.0.0.1:0", "missing.pem", "missing.pem"
	if _, err = StartServer(t.Context(), c); err == nil || !strings.Contains(err.Error(), "missing.pem") {
		t.Errorf("a certificate that is not there: %v", err)
	}
	c.CertFile, c.KeyFile = "", ""
	s, err := StartServer(t.Context(), c)
	if err != nil {
		t.Fatalf("a failed start left something behind: %v", err)
	}
	if _, err = StartServer(t.Context(), c); err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("two servers on one data directory: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAdminLogin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := 0
	newPassword := func() string { made++; return password }
	first, shown, err := AdminLogin(dir, newPassword)
	if err != nil || shown != password || first.Username != "admin" || !server.CheckPassword(first.PasswordHash, password) {
		t.Fatalf("first start: %+v %q %v", first, shown, err)
	}
	again, shown, err := AdminLogin(dir, newPassword)
	if err != nil || shown != "" || again != first || made != 1 {
		t.Errorf("second start: %+v %q %v; the password is shown once", again, shown, err)
	}
	path := filepath.Join(dir, "admin.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), password) {
		t.Errorf("the file holds the password, or %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := AdminLogin(dir, newPassword); err == nil || !strings.Contains(err.Error(), path) || made != 1 {
		t.Errorf("a damaged file: %v; it must not be replaced silently", err)
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, shown, err := AdminLogin(filepath.Join(blocked, "data"), newPassword); err == nil || shown != "" {
		t.Errorf("a directory that cannot be made: %q %v", shown, err)
	}
}

func TestTheAgentsHealth(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ServeAgentAdmin(t.Context(), addr, prometheus.NewRegistry(), func() bool { return true }); err == nil || !strings.Contains(err.Error(), "--admin-listen") {
		t.Errorf("a port that is taken: %v", err)
	}
	_ = ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	healthy := make(chan bool, 1)
	healthy <- false
	go func() {
		done <- ServeAgentAdmin(ctx, addr, prometheus.NewRegistry(), func() bool { h := <-healthy; healthy <- h; return h })
	}()
	c := httpClient(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) })
	status := func(path string) int {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			res, err := c.Get("http://" + addr + path)
			if err == nil {
				_ = res.Body.Close()
				return res.StatusCode
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	if got := status("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("without a session: %d", got)
	}
	<-healthy
	healthy <- true
	for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
		if got := status(path); got != http.StatusOK {
			t.Errorf("%s: %d", path, got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := ServeAgentAdmin(ctx, "", nil, nil); err != nil {
		t.Errorf("no address: %v", err)
	}
}

func TestErrorsOfTheServerKeepTheirCode(t *testing.T) {
	c := config(t)
	c.Admin = server.Admin{}
	s, err := StartServer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, err = penstockv1connect.NewProjectServiceClient(httpClient(t, nil, func(p *http.Protocols) { p.SetHTTP1(true) }), s.URL).Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{}))
	if connect.CodeOf(err) != connect.CodePermissionDenied || !strings.Contains(err.Error(), "no password login") {
		t.Errorf("%v", err)
	}
}
