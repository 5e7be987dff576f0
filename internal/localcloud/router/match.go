package router

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Request is what a rule can look at. It is made from an HTTP request, or by
// hand where no sockets are used.
type Request struct {
	Method string // empty means GET
	Host   string // may carry a port
	Path   string // empty means /
	Query  url.Values
	Header http.Header
	// RemoteAddr is the client's address, with or without port.
	RemoteAddr string
}

func requestOf(r *http.Request) Request {
	return Request{
		Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.Query(),
		Header: r.Header, RemoteAddr: r.RemoteAddr,
	}
}

// match returns the first rule whose conditions all hold. A listener always
// has a default rule, so ok is false only for an empty rule list.
func match(rules []Rule, req Request) (rule Rule, ok bool) {
	for _, rule := range rules {
		if rule.matches(req) {
			return rule, true
		}
	}
	return Rule{}, false
}

func (r Rule) matches(req Request) bool {
	for _, c := range r.Conditions {
		if !c.matches(req) {
			return false
		}
	}
	return true
}

// matches compares as the ELBv2 API reference says for each field: hosts,
// header values and query strings without regard to case, paths and methods
// exactly.
func (c Condition) matches(req Request) bool {
	switch c.Field {
	case "host-header":
		host := req.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		return c.any(strings.ToLower(host), true)
	case "path-pattern":
		path := req.Path
		if path == "" {
			path = "/"
		}
		return c.any(path, false)
	case "http-header":
		for _, v := range req.Header.Values(c.Header) {
			if c.any(v, true) {
				return true
			}
		}
		return false
	case "http-request-method":
		method := req.Method
		if method == "" {
			method = http.MethodGet
		}
		for _, v := range c.Values {
			if v == method {
				return true
			}
		}
		return false
	case "query-string":
		return c.matchesQuery(req.Query)
	case "source-ip":
		return c.matchesSource(req.RemoteAddr)
	}
	return false
}

func (c Condition) any(s string, fold bool) bool {
	for _, re := range c.Regex {
		if re.MatchString(s) {
			return true
		}
	}
	if fold {
		s = strings.ToLower(s)
	}
	for _, v := range c.Values {
		if fold {
			v = strings.ToLower(v)
		}
		if wildcard(v, s) {
			return true
		}
	}
	return false
}

func (c Condition) matchesQuery(query url.Values) bool {
	for _, want := range c.Query {
		for key, values := range query {
			if want.Key != "" && !wildcard(strings.ToLower(want.Key), strings.ToLower(key)) {
				continue
			}
			for _, v := range values {
				if wildcard(strings.ToLower(want.Value), strings.ToLower(v)) {
					return true
				}
			}
		}
	}
	return false
}

func (c Condition) matchesSource(remote string) bool {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return false
	}
	addr = addr.Unmap()
	for _, p := range c.Prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// wildcard matches * (any run of characters), ? (exactly one character) and \
// as the escape of the following character. It remembers only the last star,
// so its cost is bounded by the product of the two lengths.
func wildcard(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == '\\' && p+1 < len(pattern) && pattern[p+1] == s[i]:
			p += 2
			i++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]) && pattern[p] != '\\':
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
