package ecs

import (
	"encoding/base64"
	"strings"
)

// page cuts one page out of a list whose items have stable, ordered keys. maxResults is 1 to 100 and has the operation's default when it is absent. The token
// names the last item given, so that a page is right even when items come and go between calls.
func page[T any](items []T, key func(T) string, token *string, maxResults *int32, byDefault int) ([]T, *string, error) {
	size := byDefault
	if maxResults != nil {
		if *maxResults < 1 || *maxResults > 100 {
			return nil, nil, errInvalid("maxResults must be between 1 and 100, was %d.", *maxResults)
		}
		size = int(*maxResults)
	}
	start := 0
	if token != nil && *token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(*token)
		last, ok := strings.CutPrefix(string(raw), tokenPrefix)
		if err != nil || !ok {
			return nil, nil, errInvalid("Invalid token: %s", *token)
		}
		for start < len(items) && key(items[start]) <= last {
			start++
		}
	}
	items = items[start:]
	if len(items) <= size {
		return items, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(tokenPrefix + key(items[size-1])))
	return items[:size], &next, nil
}

// tokenPrefix makes a page token recognisable.
const tokenPrefix = "after/"
