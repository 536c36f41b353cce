package admin_test

import (
	"fmt"
	"testing"

	adminv1 "github.com/prism-data-layer/prism/proto/prism/admin/v1"
	"github.com/prism-data-layer/prism/test/harness"
)

// BenchmarkCreateNamespace makes namespaces beside none and beside a thousand.
func BenchmarkCreateNamespace(b *testing.B) {
	for _, beside := range []int{0, 1000} {
		b.Run(fmt.Sprint(beside), func(b *testing.B) {
			a := harness.Start(b, harness.Options{}).Admin(b)
			create := func(name string) {
				if _, err := a.CreateNamespace(b.Context(), &adminv1.CreateNamespaceRequest{Spec: &adminv1.NamespaceSpec{Name: name, Backend: "volatile"}}); err != nil {
					b.Fatal(err)
				}
			}
			for i := range beside {
				create(fmt.Sprintf("beside-%d", i))
			}
			made := 0
			for b.Loop() {
				create(fmt.Sprintf("made-%d", made))
				made++
			}
		})
	}
}
