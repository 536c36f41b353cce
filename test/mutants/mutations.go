package main

// A mutation breaks one line of "Commands" in docs/interface.md.
type mutation struct {
	Line          int
	File          string
	Old, New      string // New stands where Old stood; Old is there once
	Package, Test string // what must be red
}

const (
	cli         = "pkg/cli"
	cliRoot     = "pkg/cli/root"
	cliComplete = "pkg/cli/completion"
	streams     = "pkg/iostreams"
)

func mutations() []mutation {
	return []mutation{
		{1, "pkg/cli/root/help.go", "%s prismctl <noun> <verb> [NAME] [flags]\\n\\n", "%s prismctl <noun> <verb> [NAME] [flags]\\n\\n\\n\\n\\n\\n\\n\\n\\n", cliRoot, "TestShortHelpIsAtMost24Lines"},
		{2, "pkg/cli/root/help.go", "return found.Help()", "fmt.Fprint(f.IO.Out, usage(found)); return nil", cliRoot, "TestHelpIsTheSameHoweverItIsAskedFor"},
		{3, "pkg/cli/namespace/list.go", `Long:    "`, `Hidden:  false, Example: "", Long: "" + "`, cliRoot, "TestEveryCommandExplainsItself"},
		{4, "pkg/cli/root/root.go", "c.GroupID = n.Group", "_ = n.Group", cliRoot, "TestEveryNounIsInAGroupOfHelp"},
		{5, "pkg/cli/output.go", "print at most `N`", "print at most N", cliRoot, "TestEveryFlagHasAPlaceholderAndADefault"},
		{6, "pkg/cli/words.go", `return fmt.Sprintf("did you mean %q?", near)`, `return fmt.Sprintf("%.0s", near)`, cliRoot, "TestWhatIsPrinted"},
		{7, "pkg/cli/session/list.go", `[]string{"ls"}`, `[]string{"all"}`, cliRoot, "TestVerbsAreTheSameOnEveryNoun"},
		{8, "pkg/cli/flags.go", "p := root.PersistentFlags()", "p := root.Flags()", cliRoot, "TestGlobalFlagsStandAnywhere"},
		{9, "pkg/config/env.go", `	{EnvTimeout, "timeout", "How long a command may wait, such as 30s."},`, "", cliRoot, "TestEveryVariableThatIsReadIsInItsTopic"},
		{11, "pkg/cli/root/root.go", "cli.WarnDeprecated(f, c)", "_ = c", cliRoot, "TestADeprecatedFlagWorksAndWarnsOnce"},
		{12, "pkg/cli/kv/scan.go", `"without the values"`, `"leave out the values"`, "docs/gen", "TestPagesOnDiskAreThoseOfTheCode"},
		{13, "pkg/cli/rows.go", "fmt.Fprintln(r.o.IO.ErrOut, r.empty)", "fmt.Fprintln(r.o.IO.Out, r.empty)", cli, "TestAnEmptyListIsAnEmptyArrayAndAHint"},
		{14, "pkg/cli/output.go", `return Usage(Meant(format, Formats()), "unknown output format %q", format)`, `format = FormatTable`, cliRoot, "TestBadInput"},
		{15, "pkg/cli/output.go", "if v, ok := all.Get(name); ok {", "if v, ok := all.Get(name); ok && len(some) == 0 {", cli, "TestFieldsAndExpressions"},
		{16, "pkg/cli/kind.go", `if c.Part == "" {`, `if c.Part == "" && !c.Wide {`, cliRoot, "TestJSONHoldsEveryColumnOfTheTable"},
		{17, "pkg/cli/schema.go", `return append(o, nullable("integer"))`, `return append(o, nullable("string"))`, cliRoot, "TestOutputsFollowTheirSchemas"},
		{18, "pkg/cli/rows.go", `r.out.WriteString("[]\n")`, `r.out.WriteString("null\n")`, cli, "TestAnEmptyListIsAnEmptyArrayAndAHint"},
		{19, "pkg/cli/kind.go", `return time.UnixMilli(v).UTC().Format(`, `return time.UnixMilli(v).In(time.FixedZone("", 3600)).Format(`, cli, "TestTablesShowTimesAsAskedAndProgramsAlwaysGetUTC"},
		{20, "pkg/cli/backend/backend.go", `"latency_us", "LATENCY"`, `"latency_micros", "LATENCY"`, cliRoot, "TestFieldNamesSayTheirUnits"},
		{21, "pkg/cli/table.go", "for room := width - len(columnGap) - mark; len(widths) > 1 && rowWidth(widths) > room; cut = true {", "for room := width; false && rowWidth(widths) > room; cut = true {", cli, "TestATableNeverWraps"},
		{22, "pkg/cli/table.go", "pad := widths[i] - displaywidth.String(text)", "pad := widths[i] - len(text)", cli, "TestTableHasNoBordersAndAlignsWideRunes"},
		{23, "pkg/cli/watch.go", "case !first && (", "case false && (", "pkg/cli/namespace", "TestAWatchedListAppendsWhatChangedAsJSONLines"},
		{24, "pkg/cli/output.go", "	if o.all {\n		o.Limit = 0\n	}\n", "", cli, "TestEveryListTakesAllOfIt"},
		{25, "pkg/cli/dial.go", "if !w.f.Globals.Debug && w.f.Globals.Verbose < 2 {", "if w.f.Globals.Verbose < 2 {", cli, "TestDebugShowsTheCall"},
		{26, "pkg/cli/page.go", `	if next != "" {
		o.Note("next: %s", next)
	}`, "", cliRoot, "TestEveryMutationSaysWhatChangedAndWhatIsNext"},
		{27, "pkg/cli/namespace/create.go", "DryRun: o.DryRun", "DryRun: false", cliRoot, "TestEveryMutationHasADryRun"},
		{28, "pkg/cli/complaint.go", `if link := f.TraceLink(e.TraceID); link != "" {`, `if link := f.TraceLink(e.TraceID); false {`, cli, "TestAnErrorOfTheGatewayLeadsToItsTrace"},
		{29, "pkg/iostreams/color.go", "if !s.tty[which] || !s.ColorEnabled(which) ||", "if !s.ColorEnabled(which) ||", streams, "TestLinksAreForTerminalsThatShowThem"},
		{30, "pkg/iostreams/color.go", `case s.Env("NO_COLOR") != "":
		return false
	case isOn(s.Env("CLICOLOR_FORCE")), isOn(s.Env("FORCE_COLOR")):
		return true
	case`, `case isOn(s.Env("CLICOLOR_FORCE")), isOn(s.Env("FORCE_COLOR")):
		return true
	case s.Env("NO_COLOR") != "":
		return false
	case`, streams, "TestColourPrecedence"},
		{31, "pkg/iostreams/escape.go", "return unicode.IsControl(r) ||", "return r != 0x1b && unicode.IsControl(r) ||", cliRoot, "TestHostileNamesStayInTheirPlace"},
		{32, "pkg/iostreams/progress.go", "progressDelay  = 300 * time.Millisecond", "progressDelay  = 200 * time.Millisecond", streams, "TestQuickWorkIsNotAnnounced"},
		{33, "pkg/iostreams/progress.go", `s.Env("PRISM_NO_SPINNER") == "" && `, "", streams, "TestElsewhereProgressIsOnePlainLineForEachPhase"},
		{34, "pkg/iostreams/progress.go", "if elapsed >= progressDetail && p.detail", "if elapsed < progressDetail && p.detail", streams, "TestOnATerminalProgressIsOneLineThatGoesAway"},
		{35, "pkg/iostreams/color.go", "	if s.UTF8() {", "	if true {", streams, "TestSymbolsAreASCIIUnlessTheLocaleIsUTF8"},
		{36, "pkg/iostreams/pager.go", "if p.lines <= p.room {", "if p.lines < p.room-3 {", streams, "TestOnlyWhatIsLongerThanAScreenIsPaged"},
		{37, "pkg/cli/kind.go", "return st.glyph(v) + \" \" + iostreams.Escape(v)", "return st.glyph(v)", cli, "TestStatesCarryAGlyphAndAWord"},
		{38, "pkg/cli/exit.go", "	case 409, 410, 412:\n		return ExitConflict", "	case 409, 410:\n		return ExitConflict", cli, "TestEveryReasonHasItsExitCodeAndKeepsItsDetails"},
		{39, "pkg/cli/complaint.go", "const maxErrorLines = 6", "const maxErrorLines = 8", cli, "TestAFullErrorIsSixLinesAndWithVTellsAll"},
		{40, "pkg/prism/reasons.go", `"this gateway does not have that call", "upgrade the gateway"`, `"this gateway does not have that call", ""`, "pkg/cli/errors", "TestEveryCodeIsExplained"},
		{41, "pkg/cli/complaint.go", `{"retryable", e.Retryable()},`, `{"retryable", false},`, cli, "TestErrorsAreJSONForPrograms"},
		{42, "pkg/cli/complaint.go", `quota = Object{{"subject", q.Subject}, {"message", q.Message}}`, `quota = Object{{"message", q.Message}}`, cli, "TestErrorsAreJSONForPrograms"},
		{44, "pkg/cli/dial.go", `return " (context " + w.target.Context + ")"`, `return ""`, cli, "TestARefusalNamesTheContextAndWhatToTypeThere"},
		{45, "pkg/cli/root/main.go", "code = crashed(f, path, r, debug.Stack())", "panic(r)", cliRoot, "TestAPanicBecomesAReportAndExit70"},
		{46, "pkg/cli/root/main.go", "case time.Since(first) > oneSignal:", "case time.Since(first) > 100*oneSignal:", cliRoot, "TestTheFirstSignalCancelsAndTheSecondEnds"},
		{47, "pkg/cli/root/main.go", "		return cli.ExitOK // the reader has seen enough", "		return cli.ExitFailure", cliRoot, "TestAReaderThatHasSeenEnoughIsNoError"},
		{49, "pkg/cli/complete.go", "list = append(list, Candidate{c.Name, c.Data})", "list = append(list, Candidate{c.Data, c.Name})", cliComplete, "TestLiveNamesComplete"},
		{50, "pkg/cli/confirm.go", "agreed = answer == name", "agreed = agreed || answer == name", "pkg/cli/namespace", "TestAProtectedContextAsksForTheName"},
		{57, "pkg/cli/root/main.go", "f.Build.Version, f.Build.Commit, now.Format(\"2006-01-02T15:04:05Z\"), path, r, stack)", "f.Build.Version, f.Build.Commit, now.Format(\"2006-01-02T15:04:05Z\"), path+f.Globals.Namespace, r, stack)", cliRoot, "TestAPanicBecomesAReportAndExit70"},
		{58, "pkg/cli/remembered.go", "age >= 0 && age < completeKeeps", "age >= 0", cliComplete, "TestNamesAreAskedForOnceInFiveSeconds"},
		{60, "pkg/cli/version/version.go", "if cli.Skew(o.Build.Version, v.server.GetVersion()) {", "if false {", "pkg/cli/version", "TestSkewIsWarnedOf"},
		{62, "pkg/cli/input.go", "if ios.IsTTY(iostreams.In) {", "if false {", "pkg/cli/kv", "TestWhatIsPrinted"},
		{63, "pkg/cli/dial.go", "w.address, Duration(w.f.Globals.Timeout))", "w.address, Duration(DefaultTimeout))", cli, "TestAGatewayThatIsSilentEndsWithTheTimeoutAndNamesTheFlag"},
		{64, "pkg/cli/confirm.go", `	if !f.IO.CanPrompt() {
		return Usage("pass --yes",`, `	if false {
		return Usage("pass --yes",`, cliRoot, "TestNobodyIsAskedInAPipeOrInCI"},
	}
}
