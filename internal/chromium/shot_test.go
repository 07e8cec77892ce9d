package chromium
import ("testing";"os";"strings";"time";"fmt")
func TestShot(t *testing.T) {
	b := Start(t)
	f := strings.Split(os.Getenv("SHOT"), " ") // url w h scheme out [js]
	var w, h int
	fmt.Sscan(f[1], &w); fmt.Sscan(f[2], &h)
	tab := b.Open(t, f[0], w, h)
	tab.Prefer("prefers-color-scheme", f[3])
	time.Sleep(2500*time.Millisecond)
	if js := os.Getenv("JS"); js != "" { tab.Eval(js); time.Sleep(1200*time.Millisecond) }
	if os.Getenv("HOVER") != "" { tab.Hover("#plot", .6, .5); time.Sleep(200*time.Millisecond) }
	os.WriteFile(f[4], tab.Screenshot(), 0o644)
	t.Log(tab.Complaints(), tab.Eval("[document.documentElement.scrollWidth, innerWidth, document.documentElement.scrollHeight]"))
}
