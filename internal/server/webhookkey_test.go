package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

func TestWebhookKeyChecksWhatHMACDoes(t *testing.T) {
	for _, secret := range []string{"a", "sixteen letters!", strings.Repeat("k", 64), strings.Repeat("long", 40)} {
		stored, err := json.Marshal(newWebhookKey(secret))
		if err != nil {
			t.Fatal(err)
		}
		var k webhookKey
		if err := json.Unmarshal(stored, &k); err != nil {
			t.Fatal(err)
		}
		if len(secret) > 8 && (bytes.Contains(stored, []byte(secret)) || bytes.Contains(append(k.Inner, k.Outer...), []byte(secret[:8]))) {
			t.Errorf("the key of %q holds it: %s", secret, stored)
		}
		for _, body := range []string{"", "{}", strings.Repeat("body", 1000)} {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(body))
			header := "sha256=" + hex.EncodeToString(mac.Sum(nil))
			if !signed([]byte(body), header, &k) {
				t.Errorf("the signature of %d bytes with a secret of %d is refused", len(body), len(secret))
			}
			if signed([]byte(body+"x"), header, &k) {
				t.Errorf("a signature of %d bytes is taken for another body", len(body))
			}
		}
	}
	if newWebhookKey("") != nil || signed(nil, "sha256=", nil) || signed(nil, "sha256=", &webhookKey{}) {
		t.Error("without a secret, or with a damaged key, nothing is signed")
	}
}
