package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// badgesPath begins the path of every badge.
const badgesPath = "/badges/"

// badgeKey is the key behind a change of the project's setting: a new one where
// there was none, so that addresses which were given away end when badges are
// turned off, and stay ended.
func badgeKey(on bool, old []byte) []byte {
	if !on {
		return nil
	}
	if old != nil {
		return old
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		panic(err) // the system has no randomness: nothing may go on
	}
	return key
}

// badgePath is the address of an application's badge; empty when the project
// has none. Nobody who knows one can work out another.
func (p projectRecord) badgePath(application string) string {
	if p.BadgeKey == nil {
		return ""
	}
	return badgesPath + p.ID + "/" + application + "/" + p.badgeToken(application) + ".svg"
}

func (p projectRecord) badgeToken(application string) string {
	m := hmac.New(sha256.New, p.BadgeKey)
	m.Write([]byte("badge/" + application))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:16])
}

// badge answers whoever has the address, without a login: the name of the
// application, how it is, and the versions of its last good deployment. All that
// is wrong with an address gets one answer.
func (s *Server) badge(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("application")
	token, _ := strings.CutSuffix(r.PathValue("token"), ".svg")
	app, err := s.badgeOf(r.Context(), r.PathValue("project"), id, token)
	switch {
	case deploy.CodeOf(err) == deploy.CodeNotFound:
		text(w, http.StatusNotFound, "no such badge, or the project has none any more")
		return
	case err != nil:
		s.log.Error("badge", "error", err)
		text(w, http.StatusInternalServerError, "the server failed; its log says why")
		return
	}
	image := drawBadge(app, r.URL.Query().Get("lang"))
	sum := sha256.Sum256([]byte(image))
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// Proxies of code hosts keep images: half a minute is fresh enough for a page that nobody watches.
	h.Set("Cache-Control", "public, max-age=30")
	h.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(image))
}

// badgeOf reads an application for its badge. The token is checked first, so
// that strangers cost one reading of the project.
func (s *Server) badgeOf(ctx context.Context, project, id, token string) (*penstockv1.Application, error) {
	none := deploy.Errorf(deploy.CodeNotFound, "no such badge")
	p, err := s.project(ctx, project)
	if err != nil {
		return nil, err
	}
	if p.BadgeKey == nil || !hmac.Equal([]byte(token), []byte(p.badgeToken(id))) {
		return nil, none
	}
	var out *penstockv1.Application
	err = s.view(ctx, p.ID, func(b *book) error {
		a, err := b.findApplication(id)
		if err != nil {
			return err
		}
		if a.ID != id { // by its name
			return none
		}
		online, err := b.onlineAgents()
		if err != nil {
			return err
		}
		out = s.fullApplication(ctx, a, online)
		return nil
	})
	return out, err
}

// Colours of badges: white on each has a contrast of 4.5 to 1 and more.
const (
	badgeGood = "#146c3a"
	badgeRun  = "#1a5fb4"
	badgeWarn = "#854f00"
	badgeBad  = "#b3261e"
	badgeIdle = "#52606c"
)

type badgeWord struct{ en, ja, colour string }

// badgeState is the one thing that is said of an application: the worst first.
func badgeState(a *penstockv1.Application) badgeWord {
	switch {
	case a.Disabled:
		return badgeWord{"disabled", "無効", badgeIdle}
	case a.SyncState == string(deploy.SyncInvalid):
		return badgeWord{"invalid configuration", "設定エラー", badgeBad}
	case a.AgentOnline && a.Health == string(deploy.HealthUnhealthy):
		return badgeWord{"unhealthy", "異常", badgeBad}
	case a.SyncState == string(deploy.SyncDeploying):
		return badgeWord{"deploying", "デプロイ中", badgeRun}
	case a.SyncState == string(deploy.SyncOutOfSync):
		return badgeWord{"out of sync", "未同期", badgeWarn}
	case a.AgentOnline && a.Health == string(deploy.HealthProgressing):
		return badgeWord{"progressing", "進行中", badgeRun}
	case a.AgentOnline && a.Health == string(deploy.HealthHealthy) && a.SyncState == string(deploy.SyncSynced):
		return badgeWord{"healthy", "正常", badgeGood}
	}
	return badgeWord{"unknown", "不明", badgeIdle} // no silence counts as health
}

// drawBadge makes the image. Both texts are of a width that is worked out here,
// because nobody measures fonts on a server.
func drawBadge(a *penstockv1.Application, lang string) string {
	state := badgeState(a)
	word := state.en
	if strings.HasPrefix(lang, "ja") {
		word = state.ja
	}
	var versions []string
	for _, v := range a.LastGood.GetVersions() {
		versions = append(versions, v.Version)
	}
	if len(versions) > 0 {
		word += " · " + shorten(strings.Join(versions, ", "), 40)
	}
	name := shorten(a.Name, 60)
	left, right := badgeWidth(name), badgeWidth(word)
	title, l, r := escaped(name+": "+word), escaped(name), escaped(word)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s"><title>%s</title>`+
		`<rect width="%d" height="20" fill="#13202a"/><rect x="%d" width="%d" height="20" fill="%s"/>`+
		`<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,Noto Sans JP,sans-serif" font-size="11">`+
		`<text x="%d" y="14" textLength="%d">%s</text><text x="%d" y="14" textLength="%d">%s</text></g></svg>`+"\n",
		left+right, title, title, left, left, right, state.colour, left/2, left-badgePad, l, left+right/2, right-badgePad, r)
}

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// badgePad is the space beside a text, both sides together, in pixels.
const badgePad = 12

// badgeWidth is the width of a text with its space, in pixels: 7 for a letter, 11 for those of East Asia.
func badgeWidth(text string) int {
	width := badgePad
	for _, r := range text {
		if r >= 0x2e80 {
			width += 11
		} else {
			width += 7
		}
	}
	return width
}

// shorten keeps the beginning of a text of more runes than n.
func shorten(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n-1]) + "…"
}
