package admin_test

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/prism-data-layer/prism/pkg/client/admin"
	"github.com/prism-data-layer/prism/pkg/prism"
	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	configv1 "github.com/prism-data-layer/prism/proto/prism/config/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

func TestAnswersAndErrorsComeBackAsTheyAre(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	c, err := admin.Dial(g.Addr("admin"), admin.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if st, err := c.GetStatus(t.Context(), &adminv1.GetStatusRequest{}); err != nil || st.State != "Running" {
		t.Errorf("GetStatus: %v, %v", st, err)
	}
	if _, err := c.Config.ListConfigs(t.Context(), &configv1.ListConfigsRequest{}); err != nil {
		t.Errorf("ListConfigs: %v", err)
	}
	_, err = c.GetNamespace(t.Context(), &adminv1.GetNamespaceRequest{Name: "nowhere"})
	if !errors.Is(err, prism.ReasonNotFound) {
		t.Errorf("a missing namespace: %v", err)
	}
}

func TestAWrongCredentialIsRefused(t *testing.T) {
	t.Parallel()
	g := harness.Start(t, harness.Options{})
	c, err := admin.Dial(g.Addr("admin"), admin.Options{APIKey: "prism_nonsense"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.GetStatus(t.Context(), &adminv1.GetStatusRequest{}); !errors.Is(err, prism.ReasonUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeReachedSaysSo(t *testing.T) {
	t.Parallel()
	if _, err := admin.Dial("\x00", admin.Options{}); !errors.Is(err, prism.ReasonInvalidArgument) {
		t.Errorf("no address: %v", err)
	}
	g := harness.Start(t, harness.Options{})
	c, err := admin.Dial(g.Addr("admin"), admin.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) // to a port that speaks plain text
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.GetStatus(t.Context(), &adminv1.GetStatusRequest{}); !errors.Is(err, prism.ReasonUnavailable) {
		t.Errorf("TLS to plain text: %v", err)
	}
}
