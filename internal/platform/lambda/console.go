package lambda

import (
	"net/url"
	"strings"
)

// consoleURL is where the AWS console shows a resource, "" where the partition has a console of its own that we have not
// seen. Addresses are those that the console itself shows.
func consoleURL(kind, arn string) string {
	parts := strings.Split(arn, ":") // arn:aws:lambda:region:account:function:name[:qualifier]
	if len(parts) < 7 || parts[1] != "aws" {
		return ""
	}
	at := "https://" + parts[3] + ".console.aws.amazon.com/lambda/home?region=" + parts[3] + "#/functions/" + url.PathEscape(parts[6])
	switch {
	case kind == "Function":
		return at
	case kind == "Alias" && len(parts) == 8:
		return at + "/aliases/" + url.PathEscape(parts[7])
	case kind == "Version" && len(parts) == 8:
		return at + "/versions/" + url.PathEscape(parts[7])
	}
	return ""
}
