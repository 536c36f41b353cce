package control

// fault classifies an error of SQLite, once, for all of the package. what is
// the thing that was being done: "read the namespaces". The text that travels
// holds neither SQL nor paths; the cause, which stays here, does.
func fault(what string, err error) error { return kind().Fault(what, err) }

func dataLoss(what string, err error) error { return kind().DataLoss(what, err) }
