//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// A stock gRPC client, which shares nothing with the server but the messages, over HTTP/2 without and with TLS.
func TestStockGRPCClient(t *testing.T) {
	t.Run("h2c", func(t *testing.T) {
		s := startServer(t)
		walkGRPC(t, strings.TrimPrefix(s.url, "http://"), insecure.NewCredentials())
	})
	t.Run("TLS", func(t *testing.T) {
		cert, key, pool := certificate(t)
		s := startServer(t, "--tls-cert", cert, "--tls-key", key)
		walkGRPC(t, strings.TrimPrefix(s.url, "https://"), credentials.NewTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	})
}

func walkGRPC(t *testing.T, target string, cred credentials.TransportCredentials) {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(cred))
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	err = conn.Invoke(ctx, "/penstock.v1.ApplicationService/ListApplications", &penstockv1.ListApplicationsRequest{}, &penstockv1.ListApplicationsResponse{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a call without credential: %v, want Unauthenticated", err)
	}
	err = conn.Invoke(ctx, "/penstock.v1.ProjectService/Login", &penstockv1.LoginRequest{Username: adminName, Password: "guess"}, &penstockv1.LoginResponse{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("login with a wrong password: %v, want Unauthenticated", err)
	}
	var login penstockv1.LoginResponse
	must(t, conn.Invoke(ctx, "/penstock.v1.ProjectService/Login", &penstockv1.LoginRequest{Username: adminName, Password: adminPassword}, &login))
	if login.Token == "" || time.Until(login.ExpiresAt.AsTime()) < time.Hour {
		t.Fatalf("login: token of %d characters until %s", len(login.Token), login.ExpiresAt.AsTime())
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+login.Token)

	var list penstockv1.ListApplicationsResponse
	must(t, conn.Invoke(ctx, "/penstock.v1.ApplicationService/ListApplications", &penstockv1.ListApplicationsRequest{}, &list))
	if len(list.Applications) != 0 || list.Cursor == "" {
		t.Errorf("applications: %v", &list)
	}
	grpcErrorDetail(ctx, t, conn)
	grpcWatch(ctx, t, conn)
}

// grpcErrorDetail sees that an error carries code and object for programs.
func grpcErrorDetail(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	err := conn.Invoke(ctx, "/penstock.v1.DeploymentService/GetDeployment", &penstockv1.GetDeploymentRequest{DeploymentId: "none"}, &penstockv1.GetDeploymentResponse{})
	st := status.Convert(err)
	if st.Code() != codes.NotFound || !strings.Contains(st.Message(), "none") {
		t.Errorf("an unknown deployment: %v", err)
	}
	if len(st.Details()) != 1 {
		t.Fatalf("details of %v: %v", err, st.Details())
	}
	if d, ok := st.Details()[0].(*penstockv1.ErrorDetail); !ok || d.Code != "not_found" || d.Object == "" {
		t.Errorf("detail: %v", st.Details()[0])
	}
}

// grpcWatch opens the change stream and sees a change that it causes, then goes on from a cursor.
func grpcWatch(ctx context.Context, t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := openWatch(streamCtx, t, conn, "")
	var first penstockv1.WatchResponse
	must(t, stream.RecvMsg(&first))
	if first.Cursor == "" || len(first.Changes) != 0 {
		t.Fatalf("the first answer carries the cursor alone: %v", &first)
	}
	var made penstockv1.RegisterAgentResponse
	must(t, conn.Invoke(ctx, "/penstock.v1.ProjectService/RegisterAgent", &penstockv1.RegisterAgentRequest{RequestId: "grpc-1", Name: "grpc"}, &made))
	if made.Key == "" {
		t.Error("the agent's key was not shown")
	}
	awaitAgent(t, stream, made.Agent.GetId())
	cancel()

	again := openWatch(ctx, t, conn, first.Cursor)
	awaitAgent(t, again, made.Agent.GetId())
}

func openWatch(ctx context.Context, t *testing.T, conn *grpc.ClientConn, cursor string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/penstock.v1.WatchService/Watch")
	must(t, err)
	must(t, stream.SendMsg(&penstockv1.WatchRequest{Cursor: cursor}))
	must(t, stream.CloseSend())
	return stream
}

// awaitAgent reads the stream until it tells of the agent; the context bounds it.
func awaitAgent(t *testing.T, stream grpc.ClientStream, id string) {
	t.Helper()
	for {
		var m penstockv1.WatchResponse
		if err := stream.RecvMsg(&m); err != nil {
			t.Fatalf("the stream ended before it told of agent %s: %v", id, err)
		}
		for _, c := range m.Changes {
			if c.StreamKind == "agent" && c.StreamId == id {
				return
			}
		}
	}
}

// The same port speaks gRPC-Web, for browsers' gRPC clients, and Connect, which is plain JSON over POST.
func TestOtherProtocolsOnTheSamePort(t *testing.T) {
	s := startServer(t)
	t.Run("JSON", func(t *testing.T) {
		res, body := post(t, s.url+"/penstock.v1.ProjectService/Login", "application/json", "", []byte(`{"username":"`+adminName+`","password":"`+adminPassword+`"}`))
		var login struct{ Token string }
		must(t, json.Unmarshal(body, &login))
		if res.StatusCode != http.StatusOK || login.Token == "" || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
			t.Fatalf("login: %s", res.Status)
		}
		if c := res.Header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") {
			t.Errorf("the session cookie's attributes: %s", strings.SplitN(c, ";", 2)[1])
		}
		res, body = post(t, s.url+"/penstock.v1.DeploymentService/GetDeployment", "application/json", login.Token, []byte(`{"deploymentId":"none"}`))
		var failure struct {
			Code    string
			Message string
			Details []struct{ Type, Value string }
		}
		must(t, json.Unmarshal(body, &failure))
		if res.StatusCode != http.StatusNotFound || failure.Code != "not_found" || len(failure.Details) != 1 || failure.Details[0].Type != "penstock.v1.ErrorDetail" {
			t.Fatalf("an unknown deployment: %s %s", res.Status, body)
		}
		raw, err := base64.RawStdEncoding.DecodeString(failure.Details[0].Value)
		must(t, err)
		var detail penstockv1.ErrorDetail
		must(t, proto.Unmarshal(raw, &detail))
		if detail.Code != "not_found" {
			t.Errorf("detail: %v", &detail)
		}
		webCall(t, s.url, login.Token)
	})
	t.Run("a foreign page", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodPost, s.url+"/penstock.v1.ProjectService/Login", strings.NewReader(`{}`))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", "https://example.com")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("a call from another site's page: %s, want 403", res.Status)
		}
	})
}

func post(t *testing.T, url, contentType, token string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(t, err)
	return res, answer
}

// webCall makes one gRPC-Web call by hand: frames of one flag byte, four of length, and the message; flag 0x80 marks the trailers.
func webCall(t *testing.T, url, token string) {
	t.Helper()
	message, err := proto.Marshal(&penstockv1.WhoAmIRequest{})
	must(t, err)
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	res, body := post(t, url+"/penstock.v1.ProjectService/WhoAmI", "application/grpc-web+proto", token, append(frame, message...))
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/grpc-web+proto" {
		t.Fatalf("gRPC-Web: %s %s", res.Status, res.Header.Get("Content-Type"))
	}
	var who penstockv1.WhoAmIResponse
	trailers := ""
	for len(body) >= 5 {
		flag, n := body[0], int(binary.BigEndian.Uint32(body[1:5]))
		if n > len(body)-5 {
			t.Fatalf("a frame of %d bytes with %d left", n, len(body)-5)
		}
		if flag&0x80 != 0 {
			trailers = string(body[5 : 5+n])
		} else {
			must(t, proto.Unmarshal(body[5:5+n], &who))
		}
		body = body[5+n:]
	}
	if !strings.Contains(strings.ToLower(trailers), "grpc-status: 0") || who.Role != "admin" || who.Name != adminName {
		t.Errorf("gRPC-Web: trailers %q, answer %v", trailers, &who)
	}
}
