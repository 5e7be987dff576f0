package spec

import "strings"

// DefaultSignatureKey is the header that carries a webhook's signature value.
const DefaultSignatureKey = "PipeCD-Signature"

// Notifications says which events the agent's receivers get.
type Notifications struct {
	Routes    []NotificationRoute
	Receivers []NotificationReceiver
}

// NotificationRoute selects events. All filters must agree; ignores come first. Event names have no EVENT_ prefix.
type NotificationRoute struct {
	Name, Receiver       string
	Events, IgnoreEvents []string
	Groups, IgnoreGroups []string
	Apps, IgnoreApps     []string
	// Labels must all match; one matching pair of IgnoreLabels is enough to drop the event.
	Labels, IgnoreLabels map[string]string
}

// NotificationReceiver is a destination; Slack is used in preference to Webhook.
type NotificationReceiver struct {
	Name    string
	Slack   *SlackReceiver
	Webhook *WebhookReceiver
}

// SlackReceiver is either a hook address or a channel with a token.
type SlackReceiver struct {
	HookURL        Secret
	ChannelID      string
	OAuthToken     Secret // plain or decoded
	OAuthTokenFile string
	// MentionedAccounts have no @; MentionedGroups are Slack's <!subteam^ID> form.
	MentionedAccounts, MentionedGroups []string
}

// WebhookReceiver is an address that events are posted to.
type WebhookReceiver struct {
	URL, SignatureKey  string
	SignatureValue     Secret
	SignatureValueFile string
}

func (r *pipedReader) notifications(o *Object) {
	n := &r.out.Notifications
	names := map[string]bool{}
	for _, e := range o.Objects("receivers") {
		receiver := readReceiver(e)
		names[receiver.Name] = true
		n.Receivers = append(n.Receivers, receiver)
	}
	for _, e := range o.Objects("routes") {
		route := readRoute(e)
		if !names[route.Receiver] {
			e.Warn("receiver", "", "there is no receiver %s", quote(route.Receiver))
		}
		n.Routes = append(n.Routes, route)
	}
}

func readRoute(e *Object) NotificationRoute {
	var route NotificationRoute
	e.String("name", &route.Name)
	e.String("receiver", &route.Receiver)
	e.Strings("events", &route.Events)
	e.Strings("ignoreEvents", &route.IgnoreEvents)
	e.Strings("groups", &route.Groups)
	e.Strings("ignoreGroups", &route.IgnoreGroups)
	e.Strings("apps", &route.Apps)
	e.Strings("ignoreApps", &route.IgnoreApps)
	e.StringMap("labels", &route.Labels)
	e.StringMap("ignoreLabels", &route.IgnoreLabels)
	for _, key := range []string{"events", "ignoreEvents"} {
		e.warnUnlisted(key, EventNames())
	}
	for _, key := range []string{"groups", "ignoreGroups"} {
		e.warnUnlisted(key, []string{"DEPLOYMENT", "APPLICATION_SYNC", "APPLICATION_HEALTH", "PIPED", "STAGE"})
	}
	return route
}

// warnUnlisted warns of words in a list that never match anything.
func (o *Object) warnUnlisted(key string, known []string) {
	set := map[string]bool{}
	for _, k := range known {
		set[k] = true
	}
	for _, item := range o.Node(key).Items() {
		if item.Kind() == StringNode && !set[item.Text()] && !o.d.warns.full() {
			o.d.Warn(item, suggest(item.Text(), known), "%s is not known and never matches", quote(item.Text()))
		}
	}
}

func readReceiver(e *Object) NotificationReceiver {
	var r NotificationReceiver
	e.String("name", &r.Name)
	if s := e.Object("slack"); s.Exists() {
		r.Slack = readSlack(s)
	}
	if w := e.Object("webhook"); w.Exists() {
		r.Webhook = &WebhookReceiver{}
		w.String("url", &r.Webhook.URL)
		w.StringOr("signatureKey", &r.Webhook.SignatureKey, DefaultSignatureKey)
		w.secretText("signatureValue", &r.Webhook.SignatureValue)
		w.String("signatureValueFile", &r.Webhook.SignatureValueFile)
		w.atMostOne("signatureValue", "signatureValueFile")
	}
	if !e.broken && r.Slack == nil && r.Webhook == nil {
		e.d.Warn(e.Self(), "add slack or webhook", "the receiver has no destination")
	}
	return r
}

func readSlack(s *Object) *SlackReceiver {
	out := &SlackReceiver{}
	s.secretText("hookURL", &out.HookURL)
	s.String("channelID", &out.ChannelID)
	s.secretText("oauthToken", &out.OAuthToken)
	s.note("oauthTokenData", TextType)
	if s.Has("oauthTokenData") {
		s.secretData("oauthTokenData", &out.OAuthToken)
	}
	s.String("oauthTokenFile", &out.OAuthTokenFile)
	s.Strings("mentionedAccounts", &out.MentionedAccounts)
	s.Strings("mentionedGroups", &out.MentionedGroups)
	for i, a := range out.MentionedAccounts {
		out.MentionedAccounts[i] = strings.TrimPrefix(a, "@")
	}
	for i, g := range out.MentionedGroups {
		if !strings.HasPrefix(g, "<!subteam^") {
			out.MentionedGroups[i] = "<!subteam^" + g + ">"
		}
	}
	if s.Has("hookURL") {
		for _, key := range []string{"channelID", "oauthToken", "oauthTokenData", "oauthTokenFile"} {
			s.atMostOne("hookURL", key)
		}
		return out
	}
	s.demand("channelID")
	s.shape = nil // what is demanded now is demanded only without hookURL
	s.exactlyOne("oauthToken", "oauthTokenData", "oauthTokenFile")
	return out
}
