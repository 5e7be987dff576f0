package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// pktKind is what a packet of git's line protocol is
// (gitprotocol-common(5), gitprotocol-v2(5)).
type pktKind int

const (
	pktData pktKind = iota
	pktFlush
	pktDelim
	pktEnd
)

// pktMax is the longest packet, its four length digits included.
const pktMax = 65520

var (
	// errPkt is a stream that is not made of packets.
	errPkt = errors.New("not git's line protocol")
	// errLine is a packet that does not belong into an ls-refs answer.
	errLine = errors.New("not an answer to ls-refs")
	// errEmpty is no answer at all, which servers give that do not know the question.
	errEmpty = errors.New("an empty answer")
)

// readPkt reads one packet. A stream that ends between packets gives io.EOF, in
// the middle of one io.ErrUnexpectedEOF, anything else errPkt.
func readPkt(r io.Reader) (pktKind, []byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	for _, c := range head {
		if !isHex(c) {
			return 0, nil, fmt.Errorf("%w: length %q", errPkt, head[:])
		}
	}
	n, _ := strconv.ParseUint(string(head[:]), 16, 32)
	switch {
	case n <= 2:
		return pktKind(n + 1), nil, nil
	case n < 4 || n > pktMax:
		return 0, nil, fmt.Errorf("%w: length %q", errPkt, head[:])
	}
	data := make([]byte, n-4)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return pktData, data, nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// appendPkt appends one data packet; s must be shorter than pktMax-4.
func appendPkt(b []byte, s string) []byte {
	return append(b, fmt.Sprintf("%04x%s", len(s)+4, s)...)
}

// lsRefsRequest asks protocol version 2 for the refs below one prefix.
func lsRefsRequest(ref string) []byte {
	b := appendPkt(nil, "command=ls-refs\n")
	b = appendPkt(b, "agent=penstock\n")
	b = append(b, "0001"...)
	b = appendPkt(b, "ref-prefix "+ref+"\n")
	return append(b, "0000"...)
}

// serverError is an ERR packet: the server understood and refuses.
type serverError struct{ text string }

func (e *serverError) Error() string { return e.text }

// findRef reads an ls-refs answer to its end and returns the object id of exactly
// ref, empty when it is not listed.
func findRef(r io.Reader, ref string) (string, error) {
	found := ""
	for n := 0; ; n++ {
		kind, data, err := readPkt(r)
		if errors.Is(err, io.EOF) && n == 0 {
			return "", errEmpty
		}
		if errors.Is(err, io.EOF) {
			return "", io.ErrUnexpectedEOF // no flush: the answer was cut off
		}
		if err != nil {
			return "", err
		}
		if kind == pktFlush {
			return found, nil
		}
		if kind != pktData {
			return "", fmt.Errorf("%w: unexpected delimiter", errLine)
		}
		if text, ok := bytes.CutPrefix(data, []byte("ERR ")); ok {
			return "", &serverError{oneLine(string(text))}
		}
		fields := strings.Split(strings.TrimSuffix(string(data), "\n"), " ")
		if len(fields) < 2 || !isHash(fields[0]) && fields[0] != "unborn" {
			return "", fmt.Errorf("%w: %.60q", errLine, data)
		}
		if fields[1] == ref && isHash(fields[0]) {
			found = fields[0]
		}
	}
}

// isHash reports whether s is a full object id in git's own spelling.
func isHash(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if !isHex(s[i]) || s[i] >= 'A' && s[i] <= 'F' {
			return false
		}
	}
	return true
}
