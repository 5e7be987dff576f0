package sqlite

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// compressAbove is the size in bytes from which a body is worth compressing;
// below it the frame and the time cost more than the pages saved.
const compressAbove = 2 << 10

// maxBody bounds what decoding one body may take in memory, so that a damaged
// row cannot ask for all of it.
const maxBody = 256 << 20

// The first byte of a stored body says how the rest is written.
const (
	plain      = 0
	compressed = 1
)

// codec writes and reads bodies. It may be used from several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("make decompressor: %w", err)
	}
	return &codec{enc: enc, dec: dec}, nil
}

func (c *codec) encode(body []byte) []byte {
	if len(body) > compressAbove {
		out := c.enc.EncodeAll(body, append(make([]byte, 0, len(body)/2), compressed))
		if len(out) <= len(body) {
			return out
		}
	}
	return append(append(make([]byte, 0, len(body)+1), plain), body...)
}

// decode returns the body of a stored value, which it may share memory with.
// An empty body is nil.
func (c *codec) decode(stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return nil, fmt.Errorf("stored body has no first byte")
	case stored[0] == compressed:
		return c.dec.DecodeAll(stored[1:], nil)
	case stored[0] != plain:
		return nil, fmt.Errorf("stored body begins with %d, which this version cannot read", stored[0])
	case len(stored) == 1:
		return nil, nil
	}
	return stored[1:], nil
}

func (c *codec) close() {
	c.dec.Close()
}
