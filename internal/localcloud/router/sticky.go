package router

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of the cookies, as the guide gives them ("Sticky sessions"). The CORS
// twin carries SameSite=None, which browsers only take together with Secure.
const (
	groupCookie  = "AWSALBTG"
	targetCookie = "AWSALB"
	corsSuffix   = "CORS"
)

// stickyGroup returns the group the client's cookie names, if stickiness is on
// and the rule still sends that group a share. A cookie never leads to a group
// of weight 0: the guide leaves that open, and a group that was taken out must
// be free of traffic once every node knows.
func (r *Router) stickyGroup(f Forward, req Request) string {
	if f.StickySeconds == 0 {
		return ""
	}
	arn := r.readCookie(req, groupCookie)
	for _, g := range f.Groups {
		if arn != "" && g.ARN == arn && g.Weight > 0 {
			return arn
		}
	}
	return ""
}

// stickyTarget returns the id of the target the client's cookie names. A
// target that is no longer usable is replaced by the caller, as the guide says.
func (r *Router) stickyTarget(g Group, req Request) string {
	if g.StickySeconds == 0 {
		return ""
	}
	value := r.readCookie(req, targetCookie)
	arn, id, _ := strings.Cut(value, " ")
	if arn != g.ARN {
		return ""
	}
	return id
}

// stickyCookies are set anew with every answer, so that their lifetime counts
// from the last request.
func (r *Router) stickyCookies(f Forward, g Group, t Target) []*http.Cookie {
	var out []*http.Cookie
	if f.StickySeconds > 0 {
		out = append(out, r.cookiePair(groupCookie, g.ARN, f.StickySeconds)...)
	}
	if g.StickySeconds > 0 {
		out = append(out, r.cookiePair(targetCookie, g.ARN+" "+t.ID, g.StickySeconds)...)
	}
	return out
}

func (r *Router) cookiePair(name, value string, seconds int) []*http.Cookie {
	expires := r.opts.Clock.Now().Add(time.Duration(seconds) * time.Second)
	sealed := r.seal(value, expires.Unix())
	return []*http.Cookie{
		{Name: name, Value: sealed, Path: "/", Expires: expires},
		{Name: name + corsSuffix, Value: sealed, Path: "/", Expires: expires, SameSite: http.SameSiteNoneMode, Secure: true},
	}
}

func (r *Router) readCookie(req Request, name string) string {
	if req.Header == nil {
		return ""
	}
	h := http.Request{Header: req.Header}
	for _, n := range []string{name, name + corsSuffix} {
		if c, err := h.Cookie(n); err == nil {
			if v, ok := r.unseal(c.Value); ok {
				return v
			}
		}
	}
	return ""
}

// seal signs a value and its end of life; a client cannot choose a target by
// writing its own cookie.
func (r *Router) seal(value string, expires int64) string {
	text := strconv.FormatInt(expires, 10) + " " + value
	return base64.RawURLEncoding.EncodeToString(append(r.mac(text), text...))
}

func (r *Router) unseal(sealed string) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 16 {
		return "", false
	}
	text := string(raw[16:])
	if !hmac.Equal(raw[:16], r.mac(text)) {
		return "", false
	}
	until, value, _ := strings.Cut(text, " ")
	expires, err := strconv.ParseInt(until, 10, 64)
	if err != nil || r.opts.Clock.Now().Unix() >= expires {
		return "", false
	}
	return value, true
}

func (r *Router) mac(text string) []byte {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], r.key)
	h := hmac.New(sha256.New, key[:])
	h.Write([]byte(text))
	return h.Sum(nil)[:16]
}
