package awswire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// MaxBody is the most a request body may hold, in bytes.
const MaxBody = 1 << 20

// maxRESTBody is the same for restJson1: a zip of 50 MB, the most that Lambda takes directly, in base64.
const maxRESTBody = 70 << 20

// ErrDrop is returned by an Interceptor to end a call without an answer: the connection is closed, as when a reply is lost on its way.
var ErrDrop = errors.New("answer dropped")

// Call is one request after decoding and before it reaches its handler.
type Call struct {
	// Service is the signing name, Operation AWS's name of the operation.
	Service, Operation string
	// AccessKeyID signed the request; empty for unsigned operations.
	AccessKeyID string
	RequestID   string
	// Protocol of the service.
	Protocol Protocol
	// Input is the SDK's input type (a pointer).
	Input any
}

// Interceptor stands between the wire and the handlers: throttling, latency, faults, counters.
type Interceptor func(ctx context.Context, call Call, next func(context.Context) (any, error)) (any, error)

// Config is what a Server needs beside its services.
type Config struct {
	// Lookup finds a credential by its access key id.
	Lookup func(accessKeyID string) (Credential, bool)
	// Now is the server's time, for the age of signatures.
	Now func() time.Time
	// RequestID makes the id of each answer.
	RequestID func() string
	// Intercept may be nil.
	Intercept Interceptor
	Log       *slog.Logger
}

// Server answers the requests of all its services on one endpoint. It implements http.Handler.
type Server struct {
	cfg      Config
	json     jsonCodec
	byTarget map[string]Service
	byQuery  map[string]Service
	rest     []Service
}

// NewServer joins services to one endpoint.
func NewServer(cfg Config, services ...Service) *Server {
	s := &Server{cfg: cfg, json: newJSONCodec(), byTarget: map[string]Service{}, byQuery: map[string]Service{}}
	if s.cfg.Intercept == nil {
		s.cfg.Intercept = func(ctx context.Context, _ Call, next func(context.Context) (any, error)) (any, error) {
			return next(ctx)
		}
	}
	for _, service := range services {
		switch service.protocol {
		case JSON11:
			s.byTarget[service.target] = service
		case QueryXML:
			s.byQuery[service.version] = service
		case RESTJSON:
			s.rest = append(s.rest, service)
		}
	}
	return s
}

// Guard refuses what a browser or a foreign name could send to a loopback port: any request with an Origin, and any Host that is not this machine.
func Guard(r *http.Request) error {
	if r.Header.Get("Origin") != "" {
		return fmt.Errorf("requests with an Origin header are refused")
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return nil
	}
	return fmt.Errorf("host %q is not a loopback name", r.Host)
}

// request is one request on its way through the server.
type request struct {
	id      string
	service Service
	op      string
	body    []byte
	form    url.Values
	labels  map[string]string // RESTJSON: parts of the path
	http    *http.Request
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{id: s.cfg.RequestID(), http: r, service: Service{protocol: guessProtocol(r)}}
	out, err := s.answer(w, req)
	if errors.Is(err, ErrDrop) {
		panic(http.ErrAbortHandler) // net/http closes the connection without an answer
	}
	if err != nil {
		s.writeError(w, req, err)
		return
	}
	s.writeOutput(w, req, out)
}

func (s *Server) answer(w http.ResponseWriter, req *request) (any, error) {
	if err := Guard(req.http); err != nil {
		return nil, &awserr.Error{Code: "AccessDeniedException", Message: err.Error(), Status: http.StatusForbidden}
	}
	if err := s.read(w, req); err != nil {
		return nil, err
	}
	op, known := req.service.Operation(req.op)
	var key string
	if !known || !op.unsigned {
		var problem *authProblem
		if key, problem = verify(req.http, req.body, s.cfg.Now(), s.cfg.Lookup); problem != nil {
			return nil, problem.error(req.service.protocol)
		}
	}
	if !known {
		return nil, unknownOperation(req)
	}
	in := op.newInput()
	if err := s.decode(req, in); err != nil {
		return nil, err
	}
	call := Call{Service: req.service.signing, Operation: op.name, AccessKeyID: key, RequestID: req.id, Protocol: req.service.protocol, Input: in}
	ctx := WithCaller(req.http.Context(), key)
	return s.cfg.Intercept(ctx, call, func(ctx context.Context) (any, error) { return op.call(ctx, in) })
}

// read takes the body and finds the service and the operation in it.
func (s *Server) read(w http.ResponseWriter, req *request) error {
	if rest, err := s.readREST(w, req); rest || err != nil {
		return err
	}
	if req.http.Method != http.MethodPost {
		return &awserr.Error{Code: "AccessDeniedException", Message: "Unable to determine service/operation name to be authorized", Status: http.StatusForbidden}
	}
	if err := req.take(w, MaxBody); err != nil {
		return err
	}
	if target := req.http.Header.Get("X-Amz-Target"); target != "" {
		prefix, op, _ := strings.Cut(target, ".")
		if service, ok := s.byTarget[prefix]; ok {
			req.service = service
		}
		req.op = op
		return nil
	}
	return s.readForm(req)
}

// take reads the body up to a number of bytes.
func (r *request) take(w http.ResponseWriter, limit int64) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.http.Body, limit))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &awserr.Error{Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("Request size exceeded %d bytes.", limit), Status: http.StatusRequestEntityTooLarge}
	}
	if err != nil {
		return awserr.New("SerializationException", "the request body could not be read")
	}
	r.body = body
	return nil
}

func (s *Server) readForm(req *request) error {
	form, err := url.ParseQuery(string(req.body))
	if err != nil {
		return awserr.New("MalformedQueryString", "The query string contains a syntax error")
	}
	if service, ok := s.byQuery[form.Get("Version")]; ok {
		req.service = service
	}
	req.form, req.op = form, form.Get("Action")
	return nil
}

func (s *Server) decode(req *request, in any) error {
	if req.service.protocol == QueryXML {
		if err := decodeForm(req.form, in); err != nil {
			return awserr.New("MalformedInput", "%v", err)
		}
		return nil
	}
	decode := s.json.decode
	if req.service.protocol == RESTJSON {
		decode = func(_ []byte, in any) error { return s.json.decodeREST(req, in) }
	}
	if err := decode(req.body, in); err != nil {
		return awserr.New("SerializationException", "%v", err)
	}
	return nil
}

// unknownOperation is AWS's answer to an operation it does not know, per protocol.
func unknownOperation(req *request) *awserr.Error {
	if req.service.protocol == QueryXML {
		return awserr.New("InvalidAction", "Could not find operation %s for version %s", req.op, req.form.Get("Version"))
	}
	return awserr.New("UnknownOperationException", "The operation %q is not one this endpoint serves.", req.http.Header.Get("X-Amz-Target"))
}

func guessProtocol(r *http.Request) Protocol {
	if r.Header.Get("X-Amz-Target") == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return QueryXML
	}
	return JSON11
}

func (s *Server) writeOutput(w http.ResponseWriter, req *request, out any) {
	var body []byte
	var err error
	status := http.StatusOK
	switch req.service.protocol {
	case RESTJSON:
		status, body, err = s.json.encodeREST(req, w.Header(), out)
	case QueryXML:
		body, err = encodeXML(req.op, req.service.xmlns, req.id, out)
	case JSON11:
		body, err = s.json.encodeAnswer(out)
	}
	if err != nil {
		s.writeError(w, req, err)
		return
	}
	write(w, req, status, body)
}

func (s *Server) writeError(w http.ResponseWriter, req *request, err error) {
	e, ok := awserr.As(err)
	if !ok {
		s.cfg.Log.Error("local cloud: call failed", "service", req.service.signing, "operation", req.op, "error", err)
		e = &awserr.Error{Code: "InternalFailure", Message: "The request processing has failed because of an unknown error, exception or failure.", Status: 500}
	}
	body := errorBody(req, e)
	if req.service.protocol == RESTJSON {
		w.Header().Set("X-Amzn-ErrorType", e.Code)
	}
	write(w, req, e.HTTPStatus(), body)
}

func write(w http.ResponseWriter, req *request, status int, body []byte) {
	contentType := "application/x-amz-json-1.1"
	switch req.service.protocol {
	case QueryXML:
		contentType = "text/xml"
	case RESTJSON:
		contentType = "application/json"
	case JSON11:
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", req.id)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusNoContent {
		w.Header().Del("Content-Length")
		w.Header().Del("Content-Type")
		body = nil
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has nobody to tell
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

type callerKey struct{}

// WithCaller notes which access key signed a call.
func WithCaller(ctx context.Context, accessKeyID string) context.Context {
	return context.WithValue(ctx, callerKey{}, accessKeyID)
}

// Caller returns the access key that signed the call, or "".
func Caller(ctx context.Context) string {
	key, _ := ctx.Value(callerKey{}).(string)
	return key
}
