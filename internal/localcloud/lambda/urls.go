package lambda

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// maxEvent is the most that a function URL takes (guide, "Lambda quotas").
const maxEvent = 6 << 20

func (c *Lambda) createURL(in *awslambda.CreateFunctionUrlConfigInput) (*awslambda.CreateFunctionUrlConfigOutput, error) {
	f, q, err := c.function(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if q != "" && f.Aliases[q] == nil {
		return nil, missing("The resource you requested does not exist: a function URL is for $LATEST or for an alias")
	}
	if f.URLs[q] != nil {
		return nil, conflict("Failed to create function url config for [functionArn = %s]. Error message:  FunctionUrlConfig exists for this Lambda function", f.ARN+suffix(q))
	}
	if in.AuthType != types.FunctionUrlAuthTypeNone && in.AuthType != types.FunctionUrlAuthTypeAwsIam {
		return nil, invalid("1 validation error detected: Value '%s' at 'authType' failed to satisfy constraint: Member must satisfy enum value set: [NONE, AWS_IAM]", in.AuthType)
	}
	u := &functionURL{ID: strings.ReplaceAll(c.id(), "-", ""), Qualifier: q, Auth: in.AuthType, Mode: types.InvokeModeBuffered, Cors: in.Cors, Created: c.stamp()}
	c.open(u)
	f.URLs[q] = u
	return &awslambda.CreateFunctionUrlConfigOutput{
		AuthType: u.Auth, CreationTime: &u.Created, FunctionArn: aws.String(f.ARN + suffix(q)), FunctionUrl: &u.URL, Cors: u.Cors, InvokeMode: u.Mode,
	}, nil
}

// open gives a URL its address: a socket of this machine, or a name that only Transport can reach.
func (c *Lambda) open(u *functionURL) {
	u.URL = "http://" + u.ID + ".lambda-url." + c.cfg.Region + ".localhost/"
	if c.cfg.Open == nil {
		return
	}
	if addr := c.cfg.Open(u.ID); addr != "" {
		u.URL = "http://" + addr + "/"
	}
}

func (c *Lambda) getURL(in *awslambda.GetFunctionUrlConfigInput) (*awslambda.GetFunctionUrlConfigOutput, error) {
	f, q, err := c.function(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	u := f.URLs[q]
	if u == nil {
		return nil, missing("The resource you requested does not exist.")
	}
	return &awslambda.GetFunctionUrlConfigOutput{
		AuthType: u.Auth, CreationTime: &u.Created, LastModifiedTime: &u.Created, FunctionArn: aws.String(f.ARN + suffix(q)), FunctionUrl: &u.URL, Cors: u.Cors, InvokeMode: u.Mode,
	}, nil
}

func (c *Lambda) deleteURL(in *awslambda.DeleteFunctionUrlConfigInput) (*awslambda.DeleteFunctionUrlConfigOutput, error) {
	f, q, err := c.function(in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	delete(f.URLs, q)
	return &awslambda.DeleteFunctionUrlConfigOutput{}, nil
}

// url finds the function behind a URL.
func (c *Lambda) url(id string) (name, qualifier string, auth types.FunctionUrlAuthType, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.st.Functions {
		for q, u := range f.URLs {
			if u.ID == id {
				return f.Name, q, u.Auth, true
			}
		}
	}
	return "", "", "", false
}

// ServeURL answers a request to a function URL: it becomes an event in payload format 2.0, and the function's answer becomes
// the response (guide, "Invoking Lambda function URLs").
func (c *Lambda) ServeURL(id string, w http.ResponseWriter, r *http.Request) {
	name, q, auth, ok := c.url(id)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "Not Found")
		return
	case auth != types.FunctionUrlAuthTypeNone: // signatures belong to the API; people of this machine have no identity
		refuse(w, http.StatusForbidden, "Forbidden")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	event, err := json.Marshal(c.event(id, r, body))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	to, err := c.choose(name, q, event)
	if err != nil {
		refuse(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	res, err := c.run(r.Context(), to)
	if err != nil || res.Error != "" {
		refuse(w, http.StatusBadGateway, "Internal Server Error")
		return
	}
	w.Header().Set("X-Amzn-RequestId", to.RequestID)
	respond(w, res.Payload)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"Message":"`+text+`"}`) // a client that went away has nobody to tell
}

// event is a request in payload format 2.0.
func (c *Lambda) event(id string, r *http.Request, body []byte) map[string]any {
	headers := map[string]string{"host": r.Host}
	for k, v := range r.Header {
		headers[strings.ToLower(k)] = strings.Join(v, ",")
	}
	now := c.cfg.Clock.Now().UTC()
	host, _, _ := strings.Cut(r.RemoteAddr, ":")
	out := map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "headers": headers, "isBase64Encoded": false,
		"requestContext": map[string]any{
			"accountId": "anonymous", "apiId": id, "domainName": id + ".lambda-url." + c.cfg.Region + ".on.aws", "domainPrefix": id, "requestId": id, "routeKey": "$default", "stage": "$default",
			"http": map[string]any{"method": r.Method, "path": r.URL.Path, "protocol": r.Proto, "sourceIp": host, "userAgent": r.UserAgent()},
			"time": now.Format("02/Jan/2006:15:04:05 -0700"), "timeEpoch": now.UnixMilli(),
		},
	}
	if query := r.URL.Query(); len(query) > 0 {
		flat := map[string]string{}
		for k, v := range query {
			flat[k] = strings.Join(v, ",")
		}
		out["queryStringParameters"] = flat
	}
	if len(body) > 0 {
		out["body"] = string(body)
		if !utf8.Valid(body) {
			out["body"], out["isBase64Encoded"] = base64.StdEncoding.EncodeToString(body), true
		}
	}
	return out
}

// respond writes what a function answered: an object with a statusCode says all of it, anything else is the body.
func respond(w http.ResponseWriter, payload []byte) {
	var out struct {
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	w.Header().Set("Content-Type", "application/json")
	if json.Unmarshal(payload, &out) != nil || out.StatusCode < 100 || out.StatusCode > 999 {
		_, _ = w.Write(payload) // a client that went away has nobody to tell
		return
	}
	for k, v := range out.Headers {
		w.Header().Set(k, v)
	}
	for _, cookie := range out.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	body := []byte(out.Body)
	if out.IsBase64Encoded {
		if raw, err := base64.StdEncoding.DecodeString(out.Body); err == nil {
			body = raw
		}
	}
	w.WriteHeader(out.StatusCode)
	_, _ = w.Write(body) // as above
}
