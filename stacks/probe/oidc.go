package probe

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A discovery is what of an issuer's discovery document matters here.
type discovery struct {
	Issuer string `json:"issuer"`
	Token  string `json:"token_endpoint"`
	Keys   string `json:"jwks_uri"`
}

// askOIDC signs in at the issuer with a password and looks into the token: it
// must be for the client, and name the groups of the option groups.
func askOIDC(ctx context.Context, q Question) error {
	d, err := discover(ctx, q)
	if err != nil {
		return err
	}
	password, err := q.secret("password_file")
	if err != nil {
		return err
	}
	form := url.Values{
		"grant_type": {"password"}, "client_id": {q.Options["client_id"]}, "scope": {"openid profile email groups"},
		"username": {q.Options["username"]}, "password": {password},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := do(req)
	if err != nil {
		return err
	}
	var answer struct {
		IDToken string `json:"id_token"`
	}
	if status != http.StatusOK {
		return answered(status, body)
	}
	if json.Unmarshal(body, &answer) != nil || answer.IDToken == "" {
		return errors.New("its answer to a sign-in holds no id token") // and may hold others: it is not shown
	}
	return q.checkToken(d, answer.IDToken)
}

// checkToken looks for what the gateway will look for; that the signature holds
// is for the gateway to see.
func (q Question) checkToken(d discovery, token string) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("its id token has no three parts")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer   string   `json:"iss"`
		Audience audience `json:"aud"`
		Email    string   `json:"email"`
		Groups   []string `json:"groups"`
	}
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		return fmt.Errorf("its id token cannot be read: %w", err)
	}
	switch client := q.Options["client_id"]; {
	case claims.Issuer != d.Issuer:
		return fmt.Errorf("its token is of the issuer %q, not %q", claims.Issuer, d.Issuer)
	case !slices.Contains(claims.Audience, client):
		return fmt.Errorf("its token is for %q, not for %q", []string(claims.Audience), client)
	case claims.Email != q.Options["username"]:
		return fmt.Errorf("its token is of %q, not of %q", claims.Email, q.Options["username"])
	}
	for _, g := range strings.Fields(q.Options["groups"]) {
		if !slices.Contains(claims.Groups, g) {
			return fmt.Errorf("its token has the groups %q, and %s is not among them", claims.Groups, g)
		}
	}
	return nil
}

// audience is a text or a list of them.
type audience []string

func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

func discoverOIDC(ctx context.Context, q Question) error {
	_, err := discover(ctx, q)
	return err
}

// discover reads the discovery document. Its issuer must be the address that it
// was asked at: whoever checks a token compares them.
func discover(ctx context.Context, q Question) (discovery, error) {
	var d discovery
	status, body, err := get(ctx, strings.TrimSuffix(q.Addr, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return d, err
	}
	if status != http.StatusOK || json.Unmarshal(body, &d) != nil || d.Token == "" || d.Keys == "" {
		return d, answered(status, body)
	}
	if d.Issuer != q.Addr {
		return d, fmt.Errorf("it says that it is the issuer %q, not %q", d.Issuer, q.Addr)
	}
	return d, nil
}
