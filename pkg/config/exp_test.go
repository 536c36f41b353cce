package config
import ("testing";"fmt";"strings";"time";"errors"
"github.com/goccy/go-yaml"
"github.com/goccy/go-yaml/lexer"
"github.com/goccy/go-yaml/parser"
"github.com/goccy/go-yaml/ast"
)
type v struct{d int}
func (x v) Visit(n ast.Node) ast.Visitor {
 t:=n.GetToken()
 fmt.Printf("%s%T %q %d:%d off %d org %q type %v\n", strings.Repeat("  ",x.d), n, t.Value, t.Position.Line,t.Position.Column,t.Position.Offset,t.Origin,t.Type)
 return v{x.d+1}
}
func TestExp(t *testing.T){
 for _,s:=range []string{
 "a: 1\r\nb:\r\n  - x: é日 # c\r\n    y: 'q\"'\r\n",
 "\ufeffa: 1\nb: 2\n",
 "a:\n\tb: 1\n",
 "a:\n  b: 1\n   c: 2\n",
 "a:\n  - name: x\n     model: y\n",
 "a:\n    b: 1\n  c: 2\n",
 "a: 1\na: 2\n",
 "a: {b: 1, c: [1,2}\n",
 "a: \"unterminated\nb: 1\n",
 "- a\nb: 1\n",
 "a: b: c\n",
 "a: &x 1\nb: *x\n<<: *x\nc: *nope\n",
 "a: &x [*x]\n",
 "a: 1\n---\nb: 2\n",
 "a: !!str 12\nb: 0x10\nc: 1_000\nd: 010\ne: ~\nf: yes\n? [a]\n: b\n",
 "a: |\n  text\n  more\nb: >-\n  folded\nc:\n",
 "a\n", "a: @foo\n", "a: `x\n", "%YAML 1.2\n---\na: 1\n", "a: ${X}\nb: {c: ${Y}, d: \"${Z}\"}\n",
 "", "# only\n", "a: [\n", "a: %x\n","key: [a, b\nother: 1\n",
 "a:\n- b: 1\n  c: 2\n-  d\n",
 }{
  fmt.Printf("=== %q\n",s)
  toks:=lexer.Tokenize(s)
  f,err:=parser.Parse(toks,parser.ParseComments,parser.AllowDuplicateMapKey())
  if err!=nil{ var ye yaml.Error; if errors.As(err,&ye){ p:=ye.GetToken(); fmt.Printf("ERR %q", ye.GetMessage()); if p!=nil{fmt.Printf(" tok %q %d:%d", p.Value,p.Position.Line,p.Position.Column)}; fmt.Println()} else {fmt.Println("OTHER",err)}; continue}
  for _,d:=range f.Docs{ if d.Body==nil{fmt.Println("nil body");continue}; ast.Walk(v{},d.Body)}
 }
 for _,s:=range []string{strings.Repeat("[",500000), strings.Repeat("- ",500000), strings.Repeat("a",1<<20), "a: \""+strings.Repeat("é",500000)+"\"", strings.Repeat("a: 1\n",100000),"a: "+strings.Repeat("{a: ",100000), "a: |\n"+strings.Repeat("  x\n",250000),strings.Repeat("# c\n",250000), strings.Repeat("&a ",300000), strings.Repeat("? ",500000), strings.Repeat(" ",1<<20)+"a", strings.Repeat("a\n",500000),strings.Repeat("\n",500000)+"a: 1"}{
  t0:=time.Now(); toks:=lexer.Tokenize(s); fmt.Println(s[:5], len(toks), time.Since(t0))
 }
}
