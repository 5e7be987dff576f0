package awswire

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// Credential is an access key that may call the cloud.
type Credential struct {
	AccessKeyID     string
	SecretAccessKey string
	// SessionToken is set for temporary credentials only and must then be sent along.
	SessionToken string
}

// maxSkew is how far a request's date may be from the server's ("Troubleshoot Signature Version 4", IAM User Guide: five minutes for most services;
// fifteen for some. The wider one is used).
const maxSkew = 15 * time.Minute

const (
	sigAlgorithm = "AWS4-HMAC-SHA256"
	amzDate      = "20060102T150405Z"
)

// authHeader is a parsed Authorization header.
type authHeader struct {
	keyID, date, region, service string
	signed                       []string
	signature                    string
}

func parseAuthorization(header string) (authHeader, bool) {
	rest, ok := strings.CutPrefix(header, sigAlgorithm+" ")
	if !ok {
		return authHeader{}, false
	}
	var a authHeader
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch key {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return authHeader{}, false
			}
			a.keyID, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			a.signed = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.keyID != "" && len(a.signed) > 0 && a.signature != ""
}

// authProblem is why a request was refused; each protocol has its own code for it.
type authProblem struct {
	json, query, message string
}

func (p *authProblem) error(protocol Protocol) *awserr.Error {
	code := p.json
	if protocol == QueryXML {
		code = p.query
	}
	return &awserr.Error{Code: code, Message: p.message, Status: http.StatusForbidden}
}

// verify checks the signature of a request over its body and returns the access key that signed it.
func verify(r *http.Request, body []byte, now time.Time, lookup func(string) (Credential, bool)) (string, *authProblem) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", &authProblem{"MissingAuthenticationTokenException", "MissingAuthenticationToken", "Missing Authentication Token"}
	}
	auth, ok := parseAuthorization(header)
	if !ok {
		return "", &authProblem{"IncompleteSignatureException", "IncompleteSignature", "The Authorization header is not a complete Signature Version 4 header."}
	}
	cred, ok := lookup(auth.keyID)
	if !ok || subtle.ConstantTimeCompare([]byte(cred.SessionToken), []byte(r.Header.Get("X-Amz-Security-Token"))) != 1 {
		return "", &authProblem{"UnrecognizedClientException", "InvalidClientTokenId", "The security token included in the request is invalid."}
	}
	when, err := time.Parse(amzDate, r.Header.Get("X-Amz-Date"))
	if err != nil || when.Format("20060102") != auth.date || !slices.Contains(auth.signed, "host") {
		return "", &authProblem{"IncompleteSignatureException", "IncompleteSignature", "The request needs X-Amz-Date in the scope of its credential and a signed host header."}
	}
	if skew := now.Sub(when); skew > maxSkew || skew < -maxSkew {
		return "", &authProblem{"InvalidSignatureException", "SignatureDoesNotMatch", "Signature expired: " + r.Header.Get("X-Amz-Date") + " is too far from " + now.UTC().Format(amzDate) + "."}
	}
	want := signature(cred.SecretAccessKey, auth, stringToSign(r, body, auth))
	if subtle.ConstantTimeCompare([]byte(want), []byte(auth.signature)) != 1 {
		return "", &authProblem{"InvalidSignatureException", "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	}
	return auth.keyID, nil
}

func stringToSign(r *http.Request, body []byte, auth authHeader) string {
	canonical := strings.Join([]string{
		r.Method, canonicalPath(r.URL), canonicalQuery(r.URL), canonicalHeaders(r, auth.signed), strings.Join(auth.signed, ";"), hexHash(body),
	}, "\n")
	scope := strings.Join([]string{auth.date, auth.region, auth.service, "aws4_request"}, "/")
	return strings.Join([]string{sigAlgorithm, r.Header.Get("X-Amz-Date"), scope, hexHash([]byte(canonical))}, "\n")
}

// canonicalPath is the path as it is on the wire, escaped once more part by part, as for every service but S3 ("Create a canonical request", step 2).
func canonicalPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		return "/"
	}
	var b strings.Builder
	for _, c := range []byte(path) {
		switch {
		case c == '/', c == '-', c == '_', c == '.', c == '~', c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func canonicalQuery(u *url.URL) string {
	return strings.ReplaceAll(u.Query().Encode(), "+", "%20") // Encode sorts by key
}

func canonicalHeaders(r *http.Request, signed []string) string {
	names := slices.Clone(signed)
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	return b.String()
}

func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		if r.Host != "" {
			return r.Host
		}
		return r.URL.Host
	case "content-length": // net/http takes it out of the header
		if r.ContentLength >= 0 {
			return itoa(r.ContentLength)
		}
	}
	values := r.Header.Values(name)
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(trimmed, ",")
}

func signature(secret string, auth authHeader, toSign string) string {
	key := []byte("AWS4" + secret)
	for _, part := range []string{auth.date, auth.region, auth.service, "aws4_request", toSign} {
		key = hmacSHA256(key, part)
	}
	return hex.EncodeToString(key)
}

func hmacSHA256(key []byte, data string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(data))
	return mac.Sum(nil)
}

func hexHash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
