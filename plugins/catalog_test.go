package plugins

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/belfry-monitoring/belfry/common/check"
)

// Every definition is valid, and names are unique over the whole catalog:
// a series of one name has one help text, kind and label set.
func TestDefinitions(t *testing.T) {
	names := map[string]string{}
	series := map[string]*check.Metric{}
	for _, d := range Catalog() {
		if err := d.Validate(); err != nil {
			t.Error(err)
		}
		for _, name := range append([]string{d.Plugin()}, d.Aliases...) {
			if other, taken := names[name]; taken {
				t.Errorf("%s is the name of both %s and %s", name, other, d.Name)
			}
			names[name] = d.Name
		}
		for _, m := range d.Metrics {
			seriesNames := []string{m.Name(), m.LimitName()}
			if len(m.Buckets) > 0 {
				for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
					seriesNames = append(seriesNames, m.DistributionName()+suffix)
				}
			}
			for _, name := range seriesNames {
				if other, taken := series[name]; taken && other != m {
					t.Errorf("series %s is declared twice (check %s): share the metric or rename it", name, d.Name)
				}
				series[name] = m
			}
		}
	}
	if !sort.SliceIsSorted(Catalog(), func(i, j int) bool { return Catalog()[i].Name < Catalog()[j].Name }) {
		t.Error("the catalog is not sorted by name")
	}
}

// Every check has a page, fault rows and a parity case, and every folder is
// in the catalog.
func TestFoldersAreComplete(t *testing.T) {
	folders := map[string]bool{}
	for _, d := range Catalog() {
		folder := Folder(d)
		folders[folder] = true
		for _, file := range []string{"page.md", filepath.Join(d.Plugin(), "main.go")} {
			if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
				t.Errorf("check %s has no %s", d.Name, file)
			}
		}
		calls := selectorCalls(t, folder)
		if !calls["faults.Table"] && !calls["faults.Server"] {
			t.Errorf("check %s has no fault rows: call faults.Table or faults.Server in its tests", d.Name)
		}
		if !calls["parity.Run"] {
			t.Errorf("check %s has no parity case: call parity.Run in its tests", d.Name)
		}
		if !calls["script.Run"] {
			t.Errorf("check %s has no scripts: call script.Run in its tests", d.Name)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !folders[e.Name()] {
			t.Errorf("folder %s is not in the catalog", e.Name())
		}
	}
}

// selectorCalls lists pkg.Name as used in the test files of a folder.
func selectorCalls(t *testing.T, folder string) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	eachFile(t, folder, func(path string, f *ast.File) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					used[x.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
	})
	return used
}

func eachFile(t *testing.T, root string, visit func(path string, f *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err == nil {
			visit(path, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A bare go statement's panic cannot be recovered and would exit 2 with
// nothing on stdout; os.Exit and printing belong to common/plugin; the
// environment belongs to the options.
func TestChecksKeepTheHouseRules(t *testing.T) {
	forbidden := map[string]string{
		"os.Exit": "only common/plugin exits", "os.Getenv": "declare it with options.Env", "os.LookupEnv": "declare it with options.Env",
		"fmt.Print": "only common/plugin prints", "fmt.Println": "only common/plugin prints", "fmt.Printf": "only common/plugin prints",
		"log.Fatal": "only common/plugin exits", "log.Printf": "only common/plugin prints", "log.Println": "only common/plugin prints",
	}
	for _, root := range []string{".", "../common"} {
		eachFile(t, root, func(path string, f *ast.File) {
			library := strings.HasPrefix(path, "../common/plugin/") || strings.HasPrefix(path, "../common/check/")
			if strings.HasSuffix(path, "_test.go") || library {
				return
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a bare go statement; use check.Go", path)
				case *ast.FuncDecl:
					if n.Name.Name == "init" && n.Recv == nil {
						t.Errorf("%s: func init", path)
					}
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok {
						if why, bad := forbidden[x.Name+"."+n.Sel.Name]; bad && !strings.HasPrefix(path, "../common/options/") {
							t.Errorf("%s: %s.%s: %s", path, x.Name, n.Sel.Name, why)
						}
					}
				}
				return true
			})
		})
	}
}

// Arrows point down only: a plugin links its own check and that check's
// client library, never another check, the exporter or client_golang.
func TestPluginsLinkWhatTheyNeed(t *testing.T) {
	const module = "github.com/belfry-monitoring/belfry/"
	for _, d := range Catalog() {
		own := module + "plugins/" + Folder(d)
		for _, dep := range deps(t, "./"+Folder(d)+"/"+d.Plugin()) {
			rest, ours := strings.CutPrefix(dep, module)
			switch {
			case strings.HasPrefix(dep, "github.com/prometheus/client_golang"):
				t.Errorf("%s links %s", d.Plugin(), dep)
			case ours && strings.HasPrefix(rest, "plugins") && dep != own && !strings.HasPrefix(dep, own+"/"):
				t.Errorf("%s links %s", d.Plugin(), rest)
			case ours && !strings.HasPrefix(rest, "plugins/") && !strings.HasPrefix(rest, "common/"):
				t.Errorf("%s links %s", d.Plugin(), rest)
			}
		}
	}
	for _, dep := range deps(t, "../common/check") {
		if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && dep != module+"common/check" && dep != "github.com/spf13/pflag" {
			t.Errorf("common/check links %s; want the standard library and pflag only", dep)
		}
	}
	for _, dep := range deps(t, "../common/...") {
		if rest, ours := strings.CutPrefix(dep, module); ours && !strings.HasPrefix(rest, "common/") {
			t.Errorf("common links %s, from a room above it", rest)
		}
	}
}

func deps(t *testing.T, pkg string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", pkg)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v: %s", pkg, err, errs.String())
	}
	return strings.Fields(string(out))
}
