package chromium

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A Tab shows a page.
type Tab struct {
	t       testing.TB
	pipe    *pipe
	session string
}

func (t *Tab) do(method string, params map[string]any, result any) {
	t.t.Helper()
	t.must(t.pipe.call(t.session, method, params, result))
}

// Go leads to an address and waits until the document is there.
func (t *Tab) Go(url string) {
	t.t.Helper()
	var to struct{ ErrorText string }
	t.do("Page.navigate", map[string]any{"url": url}, &to)
	if to.ErrorText != "" {
		t.t.Fatalf("go to %s: %s", url, to.ErrorText)
	}
	t.Await("document.readyState === 'complete' && location.href !== 'about:blank'")
}

// Resize makes it a screen of that size.
func (t *Tab) Resize(width, height int) {
	t.t.Helper()
	t.do("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
}

// Prefer sets a media feature: prefers-color-scheme, dark.
func (t *Tab) Prefer(feature, value string) {
	t.t.Helper()
	t.do("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{{"name": feature, "value": value}}}, nil)
}

// NoScript shows pages from now on without their scripts.
func (t *Tab) NoScript() {
	t.t.Helper()
	t.do("Emulation.setScriptExecutionDisabled", map[string]any{"value": true}, nil)
}

// Eval is the value of an expression, which may be a promise.
func (t *Tab) Eval(expression string) any {
	t.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	t.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		t.t.Fatalf("%s: %s %s", expression, r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	}
	return r.Result.Value
}

// Await waits until an expression is true.
func (t *Tab) Await(expression string) {
	t.t.Helper()
	for deadline := time.Now().Add(patience); t.Eval("!!("+expression+")") != true; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.t.Fatalf("waited %s in vain: %s\nthe page says:\n%s", patience, expression, t.Text("body"))
		}
	}
}

// Text is what stands in the first element of a selector.
func (t *Tab) Text(selector string) string {
	t.t.Helper()
	text, _ := t.Eval(fmt.Sprintf("document.querySelector(%s)?.innerText", quote(selector))).(string)
	return text
}

// Click presses the mouse in the middle of an element, as a user does: what covers it gets
// the click.
func (t *Tab) Click(selector string) {
	t.t.Helper()
	t.Await(fmt.Sprintf("document.querySelector(%s)", quote(selector)))
	at, _ := t.Eval(fmt.Sprintf(`(() => {
		const e = document.querySelector(%s);
		e.scrollIntoView({ block: 'center' });
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, quote(selector))).([]any)
	for _, kind := range []string{"mousePressed", "mouseReleased"} {
		t.do("Input.dispatchMouseEvent", map[string]any{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil)
	}
}

// Hover moves the mouse to a part of an element's width and height.
func (t *Tab) Hover(selector string, right, down float64) {
	t.t.Helper()
	r, _ := t.Eval(fmt.Sprintf("(() => { const r = document.querySelector(%s).getBoundingClientRect(); return [r.x, r.y, r.width, r.height] })()", quote(selector))).([]any)
	x, y, w, h := r[0].(float64), r[1].(float64), r[2].(float64), r[3].(float64)
	t.do("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": x + right*w, "y": y + down*h}, nil)
}

// keys are those that tests press, with the code that Chromium wants of them.
var keys = map[string]struct {
	code int
	text string
}{"Tab": {9, ""}, "Enter": {13, "\r"}, "Escape": {27, ""}, "ArrowLeft": {37, ""}, "ArrowRight": {39, ""}, "Home": {36, ""}}

// Press presses keys, one after the other.
func (t *Tab) Press(names ...string) {
	t.t.Helper()
	for _, name := range names {
		k := keys[name]
		down := map[string]any{"type": "rawKeyDown", "key": name, "code": name, "windowsVirtualKeyCode": k.code}
		if k.text != "" {
			down["type"], down["text"] = "keyDown", k.text
		}
		t.do("Input.dispatchKeyEvent", down, nil)
		t.do("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": name, "code": name, "windowsVirtualKeyCode": k.code}, nil)
	}
}

// Screenshot is a PNG of what is seen.
func (t *Tab) Screenshot() []byte {
	t.t.Helper()
	var r struct{ Data string }
	t.do("Page.captureScreenshot", map[string]any{"format": "png"}, &r)
	png, err := base64.StdEncoding.DecodeString(r.Data)
	t.must(err)
	return png
}

// Complaints are the browser's so far: what the Content-Security-Policy has stopped, what
// could not be loaded, exceptions.
func (t *Tab) Complaints() (list []string) {
	for _, e := range t.pipe.events(t.session) {
		switch {
		case e.Method == "Runtime.exceptionThrown":
			list = append(list, string(e.Params))
		case e.Method == "Log.entryAdded" && strings.Contains(string(e.Params), `"level":"error"`):
			list = append(list, string(e.Params))
		}
	}
	return list
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// T is the test whose tab it is.
func (t *Tab) T() testing.TB { return t.t }
