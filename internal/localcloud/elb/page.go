package elb

import (
	"encoding/base64"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// page cuts one page out of items. The marker names the last item of the page
// before, so that a page stays right when earlier items are removed. PageSize
// is 1 to 400 (API), 400 when it is not given.
func page[T any](items []T, key func(T) string, marker *string, size *int32) ([]T, *string, error) {
	limit := int32(400)
	if size != nil {
		if err := inRange("pageSize", *size, 1, 400); err != nil {
			return nil, nil, err
		}
		limit = *size
	}
	if aws.ToString(marker) != "" {
		rest, ok := after(items, key, *marker)
		if !ok {
			return nil, nil, invalid("The marker '%s' is not valid", *marker)
		}
		items = rest
	}
	if len(items) <= int(limit) {
		return items, nil, nil
	}
	items = items[:limit]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items, &next, nil
}

func after[T any](items []T, key func(T) string, marker string) ([]T, bool) {
	last, err := base64.RawURLEncoding.DecodeString(marker)
	if err != nil {
		return nil, false
	}
	for i, it := range items {
		if key(it) == string(last) {
			return items[i+1:], true
		}
	}
	return nil, false
}
