package drivertest

import "pgregory.net/rapid"

// property runs f on n cases drawn by rapid's generators. The seeds are fixed,
// so that a promise is the same one each time and everywhere; the models in
// model.go are the ones that wander.
//
// f returns its failure: what it does to a store cannot be taken back, and
// rapid tries a case anew that ends otherwise.
func (t *T) property(n int, f func(*rapid.T) error) {
	t.Helper()
	cases := rapid.Custom(f)
	for seed := range n {
		if err := cases.Example(seed); err != nil {
			t.Fatalf("case %d: %v", seed, err)
		}
	}
}
